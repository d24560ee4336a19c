#pragma once

#include "Ledger.h"

#include <matrixos/json_text.hpp>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace matrixos::gateway {

/// What calls cost, as the routes on both listeners tell it. All of it waits for the rows of calls that are settled and
/// for the disk. Any thread but an event loop's. Throws Error(InvalidArgument) for parameters that are none, and
/// Error(NotFound) for somebody whom nobody knows.
class Reports {
public:
  /// The id of the instance that has this handle now; nothing: none has. May throw Error.
  using FindInstance = std::function<std::optional<std::string>(std::string_view handle)>;
  /// The value of a parameter of the query; nothing when it is not there.
  using Query = std::function<std::optional<std::string_view>(std::string_view name)>;
  /// Takes the answer's next piece; may throw.
  using Write = std::function<void(std::string_view piece)>;

  Reports(Ledger &ledger, FindInstance findInstance) : ledger_(ledger), findInstance_(std::move(findInstance)) {}

  /// `GET /usage/me`: totals, limits, what is held and when it resets.
  std::string own(std::string_view instanceId, std::string_view handle) const;
  std::string own(std::string_view userId) const;
  /// `GET /usage/:userId?since`: the same, by model and by session of this month, or since then. With `table=true` also
  /// the rows of table(), of this user.
  std::string user(std::string_view userId, const Query &query) const;
  /// `GET /usage/summary`.
  std::string summary() const;
  /// `GET /usage/:userId/daily?from&to`, days as 2026-11-30, both in it; 30 days up to today when they are not said.
  std::string daily(std::string_view userId, const Query &query) const;
  /// Rows of calls for a terminal: `since`, `by` (user, model, session, day). By day there is one for each of the last
  /// 400 days at most, also of those without calls.
  std::string table(const Query &query) const;

  /// The same ranges as CSV, one call a line; of everybody where `userId` is "".
  bool wantsCsv(const Query &query) const;
  void csv(std::string_view userId, bool byDay, const Query &query, const Write &write) const;

  /// `POST /quotas/:userId`: `{"dailyLimitUsd", "monthlyLimitUsd"}`, where null stands for the default; what is missing
  /// stays. Gives those in effect, durable.
  std::string setQuota(std::string_view userId, std::string_view body) const;

private:
  struct Person {
    std::string id, handle;
  };
  Person personOf(std::string_view userId) const;
  /// `person`: null for everybody.
  void addTable(JsonObject &answer, const Person *person, const Query &query) const;
  CallRange range(const Person *person, const Query &query) const;
  CallRange days(const Person &person, const Query &query) const;

  Ledger &ledger_;
  const FindInstance findInstance_;
};

} // namespace matrixos::gateway
