/// Small values by key, for owners that need no table of their own.
#pragma once

#include "storage/Access.h"
#include "storage/Row.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace matrixos::storage {

class Database;

/// Each owner's keys and values, in one table of the platform. Every change gives the key a version that it has never
/// had before. All functions are thread-safe and block for the disk; a change is durable once it returns. Keys are
/// bytes and in their order. The `access` says for whom, and for how long.
class KeyValues {
public:
  static constexpr std::size_t kLongestKey = 512;
  static constexpr std::size_t kLongestValue = std::size_t{64} << 10U;
  /// Of one owner.
  static constexpr std::int64_t kMostKeys = 10'000;
  static constexpr std::int64_t kMostBytes = std::int64_t{16} << 20U;
  /// In place of an expected version.
  static constexpr std::int64_t kAnyVersion = -1, kAbsent = 0;

  struct Entry {
    std::string_view key, value; ///< borrowed for the callback
    std::int64_t version = 0;
  };

  explicit KeyValues(Database &database) : database_(database) {}

  /// Nothing when there is no such key.
  struct Found {
    std::string value;
    std::int64_t version = 0;
  };
  std::optional<Found> get(const Access &access, std::string_view key);
  /// Sets the key and gives its version, if it has the expected one now. Throws Error: Aborted (reason EXPECTATION)
  /// when it has another, InvalidArgument for a key or value that is too long, ResourceExhausted (reason KV_FULL).
  std::int64_t put(const Access &access, std::string_view key, std::string_view value, std::int64_t expected);
  /// Removes the key, if it is there and has the expected version. Throws Error(Aborted) likewise.
  void remove(const Access &access, std::string_view key, std::int64_t expected);
  /// Every key that begins with the prefix, in one snapshot, until `entry` answers false. It may use this again.
  void list(const Access &access, std::string_view prefix, const std::function<bool(const Entry &)> &entry);

private:
  void prepare();
  std::int64_t nextVersion();

  Database &database_;
  std::mutex mutex_;
  std::int64_t lastVersion_ = -1; ///< -1: the table was not looked at yet
};

} // namespace matrixos::storage
