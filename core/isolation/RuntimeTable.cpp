#include "isolation/RuntimeTable.h"

#include "isolation/RuntimeFunctions.h"

#include <matrixos/status.hpp>

#include <algorithm>

namespace matrixos::isolation {

namespace {

/// A request as the parameters of a table's function fill it, each by its type.
struct RequestArguments {
  CallRequest request{};
  mos_error *error = nullptr;
  bool hasText = false;

  void put(mos_str text) noexcept {
    (hasText ? request.second : request.first) = fromAbi(text);
    hasText = true;
  }
  void put(std::int64_t number) noexcept { request.number = number; }
  void put(const mos_sink &sink) noexcept { request.sink = &sink; }
  void put(mos_buf *out) noexcept { request.out = out; }
  void put(mos_error *to) noexcept { error = to; }
};

} // namespace

template <Function kFunction, typename... Params>
void RuntimeTable::serve(mos_status (*&function)(void *, const mos_call *, Params...)) noexcept {
  function = [](void *self, const mos_call *call, Params... params) -> mos_status {
    const auto *table = static_cast<RuntimeTable *>(self);
    RequestArguments arguments{{kFunction, table->slot_}};
    (arguments.put(params), ...);
    return table->calls_.run(arguments.request, call, arguments.error);
  };
}

RuntimeTable::RuntimeTable(CallTable &calls, std::uint16_t slot, std::uint32_t minor) : calls_(calls), slot_(slot) {
  table_.struct_size = sizeof table_;
  table_.minor = std::min<std::uint32_t>(minor, MOS_RUNTIME_1_MINOR);
  table_.self = this;
  forEachRuntimeFunction([this](auto number, auto member) { serve<number()>(table_.*member); });
}

} // namespace matrixos::isolation
