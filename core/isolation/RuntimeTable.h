#pragma once

#include "isolation/CallTable.h"

#include <matrixos/abi/runtime.h>

namespace matrixos::isolation {

/// The service matrixos.runtime/1 of a plugin in another process. Lives as long as it is provided.
class RuntimeTable {
public:
  /// `slot`: which of the descriptor's provides; `minor`: what the plugin said of its table.
  RuntimeTable(CallTable &calls, std::uint16_t slot, std::uint32_t minor);
  RuntimeTable(const RuntimeTable &) = delete;
  RuntimeTable &operator=(const RuntimeTable &) = delete;

  const mos_runtime_v1 *table() const noexcept { return &table_; }

private:
  template <Function kFunction, typename... Params>
  static void serve(mos_status (*&function)(void *, const mos_call *, Params...)) noexcept;

  CallTable &calls_;
  const std::uint16_t slot_;
  mos_runtime_v1 table_{};
};

} // namespace matrixos::isolation
