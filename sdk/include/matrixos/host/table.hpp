/// matrixos/host/table.hpp: where the views of the host get their tables from.
#pragma once

#include <matrixos/abi/plugin.h>
#include <matrixos/status.hpp>

#include <string>

namespace matrixos {
inline namespace v1 {

namespace detail {

/// The table behind `id`, or an Error that names what this host lacks.
template <typename Table>
const Table *hostTable(const mos_host_v1 *host, const char *id) {
  const auto *table = static_cast<const Table *>(host->get_interface(host->self, id));
  if (table == nullptr) throw Error(Status::FailedPrecondition, std::string("this host offers no ") + id);
  return table;
}

} // namespace detail

} // namespace v1
} // namespace matrixos
