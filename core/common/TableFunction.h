#pragma once

#include <cstddef>

namespace matrixos::common {

/// The function of a service's table; null when the table ends before it, or leaves it empty. Like MOS_HAS, for a
/// member that is given as a pointer.
template <typename Table, typename Function>
Function functionOf(const Table &table, Function Table::*member) noexcept {
  const auto *end = reinterpret_cast<const char *>(&(table.*member) + 1);
  const bool there = end - reinterpret_cast<const char *>(&table) <= std::ptrdiff_t{table.struct_size};
  return there ? table.*member : nullptr;
}

} // namespace matrixos::common
