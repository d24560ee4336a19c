#pragma once

#include "Limits.h"
#include "Period.h"
#include "Record.h"

#include <matrixos/host.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::gateway {

/// The steps of the schema, in order; static text.
std::vector<SqlMigration> migrations();

/// What some calls have in common. Everything is summed exactly; money that is too much for a number is cut off.
struct CallSums {
  std::string key; ///< what they have in common: the handle, the model, the session, the day as "2026-11-30"
  std::int64_t requests = 0, partial = 0;
  std::int64_t input = 0, output = 0, cacheRead = 0, cacheWrite5m = 0, cacheWrite1h = 0;
  Money cost;
};

/// One row, as the CSV has it.
struct CallRow {
  std::int64_t id = 0;
  std::int64_t atMs = 0;
  std::string instance, handle, model, session;
  TokenCounts tokens;
  Money cost;
  bool partial = false;
};

/// Which calls a report is about: those of one user, or of all, from a moment up to another.
struct CallRange {
  std::string instance;              ///< "": of everybody
  std::int64_t fromMs = 0, toMs = 0; ///< the latter is not in it
};

/// The table of calls, in the platform's database. Blocks for the disk; any thread. Throws matrixos::Error.
class CallStore {
public:
  enum class By : std::uint8_t { User, Model, Session, Day };

  explicit CallStore(const mos_host_v1 *host) : sql_(host) {}

  void migrate() const { sql_.migrate(migrations()); }

  /// A row for each that has none yet, all or none; durable on return. Of one thread at a time.
  void append(std::span<const Record> records);
  bool has(std::uint64_t id) const;
  /// The highest number and the latest moment of all rows; 0 without rows.
  std::uint64_t lastId() const;
  std::int64_t latestMs() const;

  struct Person {
    std::string instance, handle;
    Limits own;
  };
  void eachPerson(const std::function<void(const Person &)> &person) const;
  /// Of an instance that has called or has limits; nothing for a stranger.
  std::optional<std::string> handleOf(std::string_view instanceId) const;
  void setLimits(const Person &person) const;

  /// What each user spent on a day of UTC; without limits.
  void eachSpent(std::int64_t day, const std::function<void(const Person &, Money)> &spent) const;
  /// By user, model and session the dearest first, by day the earliest; at most `most`.
  std::vector<CallSums> sums(const CallRange &range, By by, int most) const;
  /// Where a page of rows ends.
  struct Place {
    std::int64_t atMs = 0, id = 0;
  };
  /// In the order in which they were reserved, those behind `after`, at most `most`.
  std::vector<CallRow> rows(const CallRange &range, const Place &after, int most) const;

  /// Up to `most` rows that are older go; how many went.
  std::int64_t removeBefore(std::int64_t ms, int most) const;

private:
  /// Sees to it that those who called have a row, and the handle of their latest call.
  void name(std::span<const Record> records);

  struct Named {
    std::int64_t userId;
    std::string handle;
  };
  const Sql sql_;
  std::map<std::string, Named, std::less<>> named_; ///< by instance; what is not in it may have a row all the same
};

} // namespace matrixos::gateway
