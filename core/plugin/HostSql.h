#pragma once

#include "plugin/HostContext.h"
#include "storage/Access.h"
#include "storage/Statement.h"

#include <cstdint>
#include <string>
#include <vector>

/// What the tables that store for a plugin share.
namespace matrixos::plugin {

std::vector<storage::Statement> toStatements(const mos_sql_statement *list, std::uint32_t count);

/// What the plugin may use of the database, and for how long: until the call, which may be null, ends or the plugin
/// does.
storage::Access accessOf(const HostContext &context, const mos_call *call = nullptr);

/// What the plugin's SQL must not do is told to the operator, too.
void watched(HostContext &context, auto &&body) {
  try {
    body();
  } catch (const Error &e) {
    const std::string what = e.what();
    if (e.reason() == "TABLE_OWNED") context.reportSql(PluginFault::Trespass, what);
    if (e.reason() == "QUERY_TIMEOUT") context.reportSql(PluginFault::Overran, what);
    throw;
  }
}

} // namespace matrixos::plugin
