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
void watched(const HostContext &context, auto &&body) {
  try {
    body();
  } catch (const Error &e) {
    const auto report = [&](PluginFault fault) {
      PluginFaults::instance().report(context.manifest().id, fault, e.what());
    };
    if (e.reason() == "TABLE_OWNED") report(PluginFault::Trespass);
    if (e.reason() == "QUERY_TIMEOUT") report(PluginFault::Overran);
    throw;
  }
}

} // namespace matrixos::plugin
