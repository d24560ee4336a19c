#include "plugin/HostContext.h"

#include <vector>

namespace matrixos::plugin {

namespace {

storage::Value toValue(const mos_sql_value &value) {
  switch (value.type) {
  case MOS_SQL_NULL:
    return nullptr;
  case MOS_SQL_INT:
    return value.integer;
  case MOS_SQL_REAL:
    return value.real;
  case MOS_SQL_TEXT:
    return fromAbi(value.text);
  case MOS_SQL_BLOB:
    return storage::Blob{std::string(fromAbi(value.text))};
  default:
    throw Error(Status::InvalidArgument, "unknown SQL value type " + std::to_string(value.type));
  }
}

storage::Params toParams(const mos_sql_value *values, std::uint32_t count) {
  storage::Params params;
  params.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i)
    params.push_back(toValue(values[i]));
  return params;
}

void query(HostContext &context, mos_str sql, const mos_sql_value *params, std::uint32_t count, mos_sql_rows rows) {
  std::vector<mos_sql_value> columns;
  context.core().database.query(fromAbi(sql), toParams(params, count), [&](const storage::Row &row) {
    columns.clear();
    for (std::size_t i = 0; i < row.size(); ++i) {
      const storage::Column &column = row[i];
      columns.push_back({column.type, 0, column.integer, column.real, toAbi(column.text)});
    }
    return rows.row(rows.ctx, columns.data(), static_cast<std::uint32_t>(columns.size())) == MOS_SINK_CONTINUE;
  });
}

void execBatch(HostContext &context, const mos_sql_statement *list, std::uint32_t count, std::int64_t *changed) {
  std::vector<storage::Statement> statements;
  statements.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    statements.push_back(
        {std::string(fromAbi(list[i].sql)), toParams(list[i].params, list[i].params_count), list[i].expected_rows});
  }
  const std::vector<std::int64_t> rows =
      context.core().database.execBatch(std::span<const storage::Statement>(statements));
  if (changed != nullptr) std::copy(rows.begin(), rows.end(), changed);
}

} // namespace

mos_host_sql_v1 hostSqlTable(HostContext *context) {
  mos_host_sql_v1 table{};
  table.struct_size = sizeof table;
  table.minor = MOS_HOST_MINOR;
  table.self = context;
  table.query = [](void *self, mos_str sql, const mos_sql_value *params, std::uint32_t count, mos_sql_rows rows,
                   mos_error *error) {
    return hosted(self, error, [&](HostContext &c) { query(c, sql, params, count, rows); });
  };
  table.exec_batch = [](void *self, const mos_sql_statement *list, std::uint32_t count, std::int64_t *changed,
                        mos_error *error) {
    return hosted(self, error, [&](HostContext &c) { execBatch(c, list, count, changed); });
  };
  table.migrate = [](void *self, const mos_sql_migration *steps, std::uint32_t count, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) {
      std::vector<storage::Migration> list;
      for (std::uint32_t i = 0; i < count; ++i) {
        list.push_back({steps[i].version, std::string(fromAbi(steps[i].name)), std::string(fromAbi(steps[i].sql))});
      }
      c.core().database.migrate(c.manifest().id, list);
    });
  };
  table.dialect = [](void *self) { return static_cast<HostContext *>(self)->core().database.dialect(); };
  return table;
}

} // namespace matrixos::plugin
