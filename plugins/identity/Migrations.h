/// The plugin's schema.
#pragma once

#include <matrixos/host.hpp>

#include <vector>

namespace matrixos::identity {

/// Every step of the schema, in order; static text.
std::vector<SqlMigration> migrations();

} // namespace matrixos::identity
