/// Gateways that operators registered, on the disk.
#pragma once

#include <matrixos/host.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace matrixos::gateway {

/// In the platform's database; the ledger's migrations make the table. Blocks for the disk; any thread. Throws
/// matrixos::Error.
class GatewayTable {
public:
  explicit GatewayTable(const mos_host_v1 *host) : sql_(host) {}

  void each(const std::function<void(const std::string &handle, const std::string &gatewayUrl, std::int64_t atMs)>
                &gateway) const;
  /// Durable on return, as remove() is. Replaces what the handle had.
  void put(std::string_view handle, std::string_view gatewayUrl, std::int64_t atMs) const;
  void remove(std::string_view handle) const;

private:
  const Sql sql_;
};

} // namespace matrixos::gateway
