#include "common/HostTable.h"
#include "plugin/HostContext.h"

#include <matrixos/call.hpp>

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// What a plugin reads and stores: config, platform, sql.
namespace matrixos::plugin {

namespace {

struct KeyName {
  std::string section, key;
};

/// "key" is in the plugin's own section; "platform.key" and "api.key" may be read too, unless they are secret.
KeyName locate(const HostContext &context, std::string_view name) {
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos) return {context.manifest().id, std::string(name)};
  KeyName where{std::string(name.substr(0, dot)), std::string(name.substr(dot + 1))};
  if (where.section != "platform" && where.section != "api" && where.section != context.manifest().id) {
    throw Error(Status::PermissionDenied, "the plugin " + context.manifest().id + " may not read [" + where.section +
                                              "]; only its own section, "
                                              "platform and api");
  }
  return where;
}

template <typename Out, typename Get>
mos_status read(void *self, mos_str key, mos_error *error, Out *out, Get &&get) {
  return hosted(self, error, [&](HostContext &context) {
    const KeyName where = locate(context, fromAbi(key));
    *out = get(*context.core().config(), where);
  });
}

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

mos_host_config_v1 hostConfigTable(HostContext *context) {
  auto table = common::hostTable<mos_host_config_v1>(context);
  table.get_string = [](void *self, mos_str key, mos_buf *out, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) {
      const KeyName where = locate(c, fromAbi(key));
      giveBuffer(out, c.core().config()->getString(where.section, where.key));
    });
  };
  table.get_int = [](void *self, mos_str key, std::int64_t *out, mos_error *error) {
    return read(self, key, error, out, [](const config::Config &config, const KeyName &where) {
      return config.getInt(where.section, where.key);
    });
  };
  table.get_number = [](void *self, mos_str key, double *out, mos_error *error) {
    return read(self, key, error, out, [](const config::Config &config, const KeyName &where) {
      return config.getNumber(where.section, where.key);
    });
  };
  table.get_list = [](void *self, mos_str key, mos_sink items, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) {
      const KeyName where = locate(c, fromAbi(key));
      const config::ConfigPtr config = c.core().config();
      for (const std::string &item : config->getList(where.section, where.key)) {
        if (items.item(items.ctx, toAbi(item)) == MOS_SINK_STOP) break;
      }
    });
  };
  return table;
}

mos_host_platform_v1 hostPlatformTable(HostContext *context) {
  auto table = common::hostTable<mos_host_platform_v1>(context);
  table.info = [](void *self, mos_buf *out, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) { giveBuffer(out, c.core().platformInfo()); });
  };
  table.set_degraded = [](void *self, mos_str reason, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) { c.setDegraded(std::string(fromAbi(reason))); });
  };
  return table;
}

mos_host_sql_v1 hostSqlTable(HostContext *context) {
  auto table = common::hostTable<mos_host_sql_v1>(context);
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
