#pragma once

#include "../orchestrator/TestHost.h"

#include <matrixos/host/sql.hpp>

#include <identity/Migrations.h>

#include <cstdint>
#include <string>

namespace matrixos::test {

/// A database as the plugin has it, and a clock that the test moves.
struct IdentityStage {
  IdentityStage() { sql.migrate(identity::migrations()); }

  std::int64_t count(const std::string &table) const {
    std::int64_t rows = 0;
    sql.query("SELECT count(*) FROM " + table, {}, [&](const SqlRow &row) { rows = row.integer(0); });
    return rows;
  }

  TempDir dir;
  TestHost host{dir / "identity.db"};
  Sql sql{host.abi()};
  std::int64_t now = 1'000'000;
};

} // namespace matrixos::test
