/// Which instances there are, under which addresses they call, and where their gateways listen.
#pragma once

#include "GatewayTable.h"

#include <matrixos/address.hpp>
#include <matrixos/instance_record.hpp>

#include <http/engine/Resolver.h>
#include <http/engine/Upstream.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace matrixos::gateway {

/// The address is one of this machine's own.
bool isLoopback(const Address &peer);

/// Where a message is delivered to.
struct MessageTarget {
  std::string authority;                         ///< what its Host field says
  std::string prefix;                            ///< of its paths
  std::shared_ptr<const http::Upstream> gateway; ///< null: it does not run
};

/// Follows the orchestrator's records, and knows the gateways that were registered by hand. Thread-safe. Where the
/// platform runs an instance of a handle, what was registered for it does not count.
class Instances {
public:
  /// `table`: keeps what is registered, and outlives this; null: nothing is kept.
  explicit Instances(std::shared_ptr<http::Resolver> resolver, const GatewayTable *table = nullptr)
      : resolver_(std::move(resolver)), table_(table) {}

  /// Reads the table. Throws matrixos::Error.
  void load();

  /// The record as it is now.
  void apply(const InstanceRecord &record);
  /// Whether a container of ours has that address. Ports do not matter.
  bool isOurs(const Address &peer) const;
  /// Of an instance of the platform's, or a registered gateway; null: there is no such handle.
  std::shared_ptr<const MessageTarget> find(std::string_view handle) const;
  /// The id of the platform's instance that has the handle now; nothing: none has.
  std::optional<std::string> idOf(std::string_view handle) const;

  /// The handles of the platform's instances that are this user's.
  std::vector<std::string> ownedBy(std::string_view user) const;

  /// A gateway that the platform does not run, and forgetting it. Block for the disk and are durable on return. Throws
  /// matrixos::Error: InvalidArgument for a URL that is none, AlreadyExists for the handle of an instance that the
  /// platform does run, and what the disk says.
  void enter(const std::string &handle, const std::string &gatewayUrl, std::int64_t nowMs);
  bool forget(std::string_view handle);
  /// [{"handle","gatewayUrl","registeredAt"}], by handle.
  std::string listJson() const;

private:
  struct Known {
    std::uint64_t rev = 0;
    std::string id, owner;
    std::vector<std::string> addresses;
    std::shared_ptr<const MessageTarget> target;
  };
  struct Registered {
    std::string gatewayUrl;
    std::int64_t atMs = 0;
    std::shared_ptr<const MessageTarget> target;
  };
  static constexpr std::size_t kMostRegistered = 10'000;

  void dropAddresses(const Known &known);

  const std::shared_ptr<http::Resolver> resolver_;
  const GatewayTable *const table_;
  std::mutex changes_; ///< one change of what is registered at a time, with the table's
  mutable std::mutex mutex_;
  std::map<std::string, Known, std::less<>> known_;           // by handle
  std::unordered_map<std::string, std::size_t> addresses_;    // how many instances have it
  std::map<std::string, Registered, std::less<>> registered_; // by handle
};

} // namespace matrixos::gateway
