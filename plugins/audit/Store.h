#pragma once

#include "Record.h"

#include <matrixos/host.hpp>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace matrixos::audit {

/// The steps of the schema, in order; static text.
std::vector<SqlMigration> migrations();

/// What GET /audit is asked for; "" and 0 are no matter.
struct Filter {
  std::string principal, handle;
  std::string action; ///< or, with a * at its end, how it begins
  std::string since;  ///< as Record::at
  std::int64_t before = 0;
  int limit = 100;
};

/// The log in the platform's database. Blocks for disk. Any thread.
class Store {
public:
  explicit Store(const mos_host_v1 *host) : sql_(host) {}

  void migrate() const { sql_.migrate(migrations()); }

  /// The row with the highest number; nothing when there are no rows.
  std::optional<Link> tail() const;
  std::optional<Link> find(std::int64_t seq) const;
  /// The newest row with this action.
  std::optional<Row> latest(const char *action) const;
  std::vector<Row> all(const char *action) const;
  /// Up to `limit` rows with higher numbers that are not older than `since`, in their order.
  std::vector<Row> after(std::int64_t seq, int limit, const std::string &since = {}) const;
  /// Newest first.
  std::vector<Row> list(const Filter &filter) const;
  /// The number of the last row before the first that is not older than `at`, at most `limit` above the lowest; 0:
  /// none.
  std::int64_t lastBefore(const std::string &at, std::int64_t limit) const;

  /// All or none; durable on return. With `cut` rows up to that number go in the same step.
  void append(const std::vector<Row> &rows, std::int64_t cut = 0) const;

private:
  std::vector<Row> rows(const std::string &rest, const std::vector<SqlParam> &params) const;

  const Sql sql_;
};

} // namespace matrixos::audit
