/// Messages that wait to be delivered.
#pragma once

#include "storage/Access.h"
#include "storage/Statement.h"

#include <matrixos/text/time.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::storage {

class Database;

/// Each owner's items by target, in the order in which they were put in, in one table of the platform. An item leaves
/// it when it was delivered, is parked when that was given up, and then lets those behind it pass. Times are
/// milliseconds since the epoch. All functions are thread-safe and block for the disk. The `access` says for whom.
class OutboxStore {
public:
  static constexpr std::size_t kLongestName = 512; ///< of a target or an id
  static constexpr std::size_t kLargestPayload = std::size_t{256} << 10U;
  /// Of one owner, parked ones included.
  static constexpr std::int64_t kMostItems = 10'000;
  static constexpr std::int64_t kMostBytes = std::int64_t{64} << 20U;

  struct Item {
    std::string target, id, payload;
  };
  struct Stored : Item {
    std::int64_t number = 0;
    std::int64_t createdMs = 0, dueMs = 0;
    std::uint32_t attempts = 0;
    bool parked = false;
    std::string lastError;
  };

  explicit OutboxStore(Database &database) : database_(database) {}

  /// Puts items in, in one transaction with statements of the owner; gives the rows that each of these changed. Throws
  /// Error as Database::execBatch() does; AlreadyExists (reason OUTBOX_ID) when the target has an item of that id,
  /// InvalidArgument for what is too long, ResourceExhausted (reason OUTBOX_FULL).
  std::vector<std::int64_t> put(const Access &access, std::span<const Item> items,
                                std::span<const Statement> statements, std::int64_t nowMs = wallClockMs());
  /// The first item of each target that is not parked, the one that is due soonest first; at most `most`.
  std::vector<Stored> heads(const Access &access, std::size_t most);
  /// It was delivered, or is not wanted.
  void remove(const Access &access, std::int64_t number);
  /// It is tried again then, or parked.
  void postpone(const Access &access, const Stored &item);
  /// Without payloads, in their order, until `item` answers false.
  void list(const Access &access, bool parkedOnly, const std::function<bool(const Stored &)> &item);
  /// Parked ones are tried again from now on, in their old place; an empty id: all of the target. How many.
  std::int64_t retryParked(const Access &access, std::string_view target, std::string_view id, std::int64_t nowMs);
  /// Removes parked ones likewise. How many.
  std::int64_t discardParked(const Access &access, std::string_view target, std::string_view id);

  struct Counts {
    std::int64_t waiting = 0, parked = 0;
  };
  Counts counts(const Access &access) { return allCounts()[access.owner]; }
  /// Of every owner that ever had some; nothing before anybody has used an outbox since the start.
  std::map<std::string, Counts> allCounts();

private:
  void prepare();
  std::int64_t changeParked(const Access &access, std::string sql, Params params, std::string_view id);

  Database &database_;
  std::mutex mutex_;
  bool prepared_ = false;
};

} // namespace matrixos::storage
