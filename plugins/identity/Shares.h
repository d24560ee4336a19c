#pragma once

#include "Access.h"

#include <matrixos/host.hpp>

#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::identity {

/// What owners share: decided by Access, which the database fills again. Blocks for disk, but for forget().
class Shares {
public:
  static constexpr std::size_t kMostOfInstance = 100;

  Shares(const Sql &sql, Access &access, std::function<std::int64_t()> now)
      : sql_(sql), access_(access), now_(std::move(now)) {}

  /// Reads what there is; once, before anybody asks.
  void load();
  /// Throws Error(NotFound) for a handle that nobody has, and so do the others.
  std::vector<Share> of(std::string_view handle) const;
  /// `what`: userId or email, and the role; who has one already gets that role. Throws Error: InvalidArgument,
  /// ResourceExhausted.
  Share add(std::string_view handle, Share what, std::string_view createdBy);
  /// False when there is none.
  bool remove(std::string_view handle, std::string_view id);

  /// The instance is gone; from any thread, written down by the next flush().
  void forget(const std::string &instanceId);
  void flush();

private:
  std::string instanceOf(std::string_view handle) const;
  void keep(std::string_view handle, const std::string &instanceId, std::vector<Share> shares);

  const Sql &sql_;
  Access &access_;
  const std::function<std::int64_t()> now_;
  std::mutex changing_; ///< held by who changes shares, over the database and Access
  std::mutex mutex_;    ///< of what follows
  std::vector<std::string> gone_;
};

} // namespace matrixos::identity
