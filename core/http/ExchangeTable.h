#pragma once

#include "http/ApiExchange.h"

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

namespace matrixos::api {

/// Exchanges by number. A number is a slot and its generation, so that one from the past is recognised and never
/// reaches another exchange. Any thread.
class ExchangeTable {
public:
  /// Numbers the exchange and keeps it until forget().
  void add(const std::shared_ptr<ApiExchange> &exchange);

  /// The exchange behind a number, or null when it is stale.
  std::shared_ptr<ApiExchange> find(std::uint64_t id) const;

  /// Makes the number stale. Text that was borrowed from the exchange dies with the last reference to it.
  void forget(std::uint64_t id);

  /// Keeps an exchange that nobody waits for until its handler answers after all, because the handler may still be
  /// reading what it borrowed; at most for ten minutes.
  void abandon(std::uint64_t id);

  /// Cancels the open exchanges of an owner, or of all.
  void cancel(const OwnerId *owner, const Problem &problem);

  /// Forgets what abandon() kept of an owner.
  void purge(OwnerId owner);

  /// Exchanges that have a number.
  std::size_t size() const;

private:
  struct Slot {
    std::uint32_t generation = 1;
    std::shared_ptr<ApiExchange> exchange;
  };
  struct Abandoned {
    std::chrono::steady_clock::time_point since;
    std::uint64_t id;
  };

  Slot *slotOf(std::uint64_t id);
  std::shared_ptr<ApiExchange> release(std::uint64_t id);

  mutable std::mutex mutex_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::deque<Abandoned> abandoned_;
  std::size_t used_ = 0;
};

} // namespace matrixos::api
