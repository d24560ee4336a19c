#pragma once

#include <matrixos/abi/host.h>

namespace matrixos::common {

/// A table of abi/host.h with its head filled in and no functions yet. `self`: what they get back.
template <typename Table>
Table hostTable(void *self) noexcept {
  Table table{};
  table.struct_size = sizeof table;
  table.minor = MOS_HOST_MINOR;
  table.self = self;
  return table;
}

} // namespace matrixos::common
