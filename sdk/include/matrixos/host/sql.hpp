/// matrixos/host/sql.hpp: the platform's database, abi/host.h mos_host_sql_v1.
#pragma once

#include <matrixos/abi/host.h>
#include <matrixos/host/table.hpp>
#include <matrixos/status.hpp>

#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos {
inline namespace v1 {

/// A parameter of a statement. Text is borrowed: it has to outlive the statement's execution.
class SqlParam {
public:
  SqlParam(std::nullptr_t) noexcept { value_.type = MOS_SQL_NULL; } // NOLINT: implicit on purpose, lists of values
  SqlParam(std::int64_t value) noexcept {                           // NOLINT
    value_.type = MOS_SQL_INT;
    value_.integer = value;
  }
  SqlParam(int value) noexcept : SqlParam(static_cast<std::int64_t>(value)) {} // NOLINT
  SqlParam(double value) noexcept {                                            // NOLINT
    value_.type = MOS_SQL_REAL;
    value_.real = value;
  }
  SqlParam(std::string_view text) noexcept { // NOLINT
    value_.type = MOS_SQL_TEXT;
    value_.text = toAbi(text);
  }
  SqlParam(const std::string &text) noexcept : SqlParam(std::string_view(text)) {} // NOLINT
  SqlParam(const char *text) noexcept : SqlParam(std::string_view(text)) {}        // NOLINT
  const mos_sql_value &abi() const noexcept { return value_; }

private:
  mos_sql_value value_{};
};

/// A row of an answer, borrowed for the callback.
class SqlRow {
public:
  SqlRow(const mos_sql_value *columns, std::uint32_t count) noexcept : columns_(columns), count_(count) {}

  std::uint32_t size() const noexcept { return count_; }
  bool isNull(std::uint32_t column) const { return at(column).type == MOS_SQL_NULL; }
  /// 0 for NULL.
  std::int64_t integer(std::uint32_t column) const {
    const mos_sql_value &value = at(column);
    return value.type == MOS_SQL_REAL ? static_cast<std::int64_t>(value.real) : value.integer;
  }
  double real(std::uint32_t column) const {
    const mos_sql_value &value = at(column);
    return value.type == MOS_SQL_INT ? static_cast<double>(value.integer) : value.real;
  }
  /// "" for NULL.
  std::string text(std::uint32_t column) const { return std::string(fromAbi(at(column).text)); }

private:
  const mos_sql_value &at(std::uint32_t column) const {
    if (column >= count_) throw Error(Status::OutOfRange, "the query has no column " + std::to_string(column));
    return columns_[column];
  }

  const mos_sql_value *columns_;
  std::uint32_t count_;
};

/// A statement of a batch. Text and parameters are borrowed until execBatch() returns.
struct SqlStatement {
  std::string_view sql;
  std::vector<SqlParam> params;
  std::int64_t expectedRows = MOS_SQL_ANY_ROWS;
};

/// One step of the plugin's schema; text has to be static.
struct SqlMigration {
  std::uint32_t version;
  std::string_view name;
  std::string_view sql;
};

namespace detail {

inline std::vector<mos_sql_value> toValues(const std::vector<SqlParam> &params) {
  std::vector<mos_sql_value> values;
  values.reserve(params.size());
  for (const SqlParam &param : params)
    values.push_back(param.abi());
  return values;
}

/// Statements in the form of the ABI; borrows their texts.
class SqlBatch {
public:
  explicit SqlBatch(const std::vector<SqlStatement> &statements) {
    values_.reserve(statements.size());
    for (const SqlStatement &statement : statements) {
      values_.push_back(toValues(statement.params));
      list_.push_back({toAbi(statement.sql), values_.back().data(), statement.expectedRows,
                       static_cast<std::uint32_t>(values_.back().size()), 0});
    }
  }
  const mos_sql_statement *data() const noexcept { return list_.data(); }
  std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(list_.size()); }

private:
  std::vector<std::vector<mos_sql_value>> values_;
  std::vector<mos_sql_statement> list_;
};

} // namespace detail

/// The platform's database.
class Sql {
public:
  explicit Sql(const mos_host_v1 *host) : table_(detail::hostTable<mos_host_sql_v1>(host, MOS_HOST_SQL_1)) {}

  /// Calls `row` for each row. What it throws ends the query and is thrown on. So does the end of `call`, which may be
  /// null.
  void query(std::string_view sql, const std::vector<SqlParam> &params, const std::function<void(const SqlRow &)> &row,
             const mos_call *call = nullptr) const {
    const std::vector<mos_sql_value> values = detail::toValues(params);
    struct Context {
      const std::function<void(const SqlRow &)> *row;
      std::exception_ptr failure;
    } context{&row, nullptr};
    const mos_sql_rows rows{&context, [](void *ctx, const mos_sql_value *columns, std::uint32_t count) -> std::int32_t {
                              auto *self = static_cast<Context *>(ctx);
                              try {
                                (*self->row)(SqlRow(columns, count));
                                return MOS_SINK_CONTINUE;
                              } catch (...) {
                                self->failure = std::current_exception();
                                return MOS_SINK_STOP;
                              }
                            }};
    const auto count = static_cast<std::uint32_t>(values.size());
    check([&](mos_error *e) {
      if (call != nullptr && MOS_HAS(table_, mos_host_sql_v1, query_call))
        return table_->query_call(table_->self, call, toAbi(sql), values.data(), count, rows, e);
      return table_->query(table_->self, toAbi(sql), values.data(), count, rows, e);
    });
    if (context.failure) std::rethrow_exception(context.failure);
  }

  /// All or nothing, durable on return. Gives the rows that each statement changed. The end of `call`, which may be
  /// null, ends it.
  std::vector<std::int64_t> execBatch(const std::vector<SqlStatement> &statements,
                                      const mos_call *call = nullptr) const {
    const detail::SqlBatch batch(statements);
    std::vector<std::int64_t> changed(statements.size());
    check([&](mos_error *e) {
      if (call != nullptr && MOS_HAS(table_, mos_host_sql_v1, exec_batch_call))
        return table_->exec_batch_call(table_->self, call, batch.data(), batch.size(), changed.data(), e);
      return table_->exec_batch(table_->self, batch.data(), batch.size(), changed.data(), e);
    });
    return changed;
  }

  void migrate(const std::vector<SqlMigration> &steps) const {
    std::vector<mos_sql_migration> list;
    for (const SqlMigration &step : steps)
      list.push_back({step.version, 0, toAbi(step.name), toAbi(step.sql)});
    check([&](mos_error *e) {
      return table_->migrate(table_->self, list.data(), static_cast<std::uint32_t>(list.size()), e);
    });
  }

  std::string_view dialect() const noexcept { return table_->dialect(table_->self); }

private:
  const mos_host_sql_v1 *table_;
};

} // namespace v1
} // namespace matrixos
