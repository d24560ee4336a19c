#include "common/HostTable.h"
#include "plugin/HostContext.h"
#include "plugin/HostSql.h"

#include <matrixos/call.hpp>

#include <algorithm>
#include <chrono>
#include <span>
#include <string>
#include <vector>

/// What a plugin stores: sql, kv.
namespace matrixos::plugin {

namespace {

storage::SqlValue toValue(const mos_sql_value &value) {
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

mos_status query(void *self, const mos_call *call, mos_str sql, const mos_sql_value *params, std::uint32_t count,
                 mos_sql_rows rows, mos_error *error) {
  return hosted(self, error, [&](HostContext &context) {
    const HostContext::OpenQuery open(context);
    std::vector<mos_sql_value> columns;
    const auto give = [&](const storage::Row &row) {
      columns.clear();
      for (std::size_t i = 0; i < row.size(); ++i) {
        const storage::Column &column = row[i];
        columns.push_back({column.type, 0, column.integer, column.real, toAbi(column.text)});
      }
      return rows.row(rows.ctx, columns.data(), static_cast<std::uint32_t>(columns.size())) == MOS_SINK_CONTINUE;
    };
    watched(context, [&] {
      context.core().database.query(fromAbi(sql), toParams(params, count), give, accessOf(context, call));
    });
  });
}

mos_status execBatch(void *self, const mos_call *call, const mos_sql_statement *list, std::uint32_t count,
                     std::int64_t *changed, mos_error *error) {
  return hosted(self, error, [&](HostContext &context) {
    const std::vector<storage::Statement> statements = toStatements(list, count);
    watched(context, [&] {
      const std::vector<std::int64_t> rows =
          context.core().database.execBatch(std::span<const storage::Statement>(statements), accessOf(context, call));
      if (changed != nullptr) std::copy(rows.begin(), rows.end(), changed);
    });
  });
}

mos_status migrate(void *self, const mos_sql_migration *steps, std::uint32_t count, mos_error *error) {
  return hosted(self, error, [&](HostContext &context) {
    std::vector<storage::Migration> list;
    for (std::uint32_t i = 0; i < count; ++i) {
      list.push_back({steps[i].version, std::string(fromAbi(steps[i].name)), std::string(fromAbi(steps[i].sql))});
    }
    storage::Access access = accessOf(context);
    // As long as the plugin may take to start: what rebuilds a large table takes its time.
    access.runFor = std::chrono::milliseconds{0};
    watched(context, [&] { context.core().database.migrate(access, list); });
  });
}

/// A function of the key-value store for the plugin.
mos_status keyValues(void *self, mos_error *error, auto &&body) {
  return hosted(self, error, [&](HostContext &context) {
    watched(context, [&] { body(context.core().database.keyValues(), accessOf(context)); });
  });
}

} // namespace

std::vector<storage::Statement> toStatements(const mos_sql_statement *list, std::uint32_t count) {
  std::vector<storage::Statement> statements;
  statements.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    statements.push_back(
        {std::string(fromAbi(list[i].sql)), toParams(list[i].params, list[i].params_count), list[i].expected_rows});
  }
  return statements;
}

storage::Access accessOf(const HostContext &context, const mos_call *call) {
  storage::Access access{context.manifest().id};
  access.runFor = context.core().config()->getDuration("storage", "query_timeout");
  if (call != nullptr && call->deadline_ns != MOS_NO_DEADLINE) {
    access.deadline = std::chrono::steady_clock::time_point(std::chrono::nanoseconds{call->deadline_ns});
  }
  access.cancelled = [&context, call] {
    return !context.open() || (call != nullptr && MOS_HAS(call, mos_call, cancelled) && call->cancelled(call) != 0);
  };
  return access;
}

mos_host_sql_v1 hostSqlTable(HostContext *context) {
  auto table = common::hostTable<mos_host_sql_v1>(context);
  table.query = [](void *self, mos_str sql, const mos_sql_value *params, std::uint32_t count, mos_sql_rows rows,
                   mos_error *error) { return query(self, nullptr, sql, params, count, rows, error); };
  table.exec_batch = [](void *self, const mos_sql_statement *list, std::uint32_t count, std::int64_t *changed,
                        mos_error *error) { return execBatch(self, nullptr, list, count, changed, error); };
  table.query_call = &query;
  table.exec_batch_call = &execBatch;
  table.migrate = &migrate;
  table.dialect = [](void *self) { return static_cast<HostContext *>(self)->core().database.dialect(); };
  return table;
}

mos_host_kv_v1 hostKvTable(HostContext *context) {
  auto table = common::hostTable<mos_host_kv_v1>(context);
  table.get = [](void *self, mos_str key, mos_buf *out, std::int64_t *version, mos_error *error) {
    return keyValues(self, error, [&](storage::KeyValues &values, const storage::Access &access) {
      auto found = values.get(access, fromAbi(key));
      if (!found) throw Error(Status::NotFound, "there is no such key", "NO_KEY");
      if (version != nullptr) *version = found->version;
      giveBuffer(out, std::move(found->value));
    });
  };
  table.put = [](void *self, mos_str key, mos_str value, std::int64_t expected, std::int64_t *version,
                 mos_error *error) {
    return keyValues(self, error, [&](storage::KeyValues &values, const storage::Access &access) {
      const std::int64_t made = values.put(access, fromAbi(key), fromAbi(value), expected);
      if (version != nullptr) *version = made;
    });
  };
  table.remove = [](void *self, mos_str key, std::int64_t expected, mos_error *error) {
    return keyValues(self, error, [&](storage::KeyValues &values, const storage::Access &access) {
      values.remove(access, fromAbi(key), expected);
    });
  };
  table.list = [](void *self, mos_str prefix, mos_kv_entries entries, mos_error *error) {
    return keyValues(self, error, [&](storage::KeyValues &values, const storage::Access &access) {
      values.list(access, fromAbi(prefix), [&](const storage::KeyValues::Entry &entry) {
        const mos_kv_entry given{toAbi(entry.key), toAbi(entry.value), entry.version};
        return entries.entry(entries.ctx, &given) == MOS_SINK_CONTINUE;
      });
    });
  };
  return table;
}

} // namespace matrixos::plugin
