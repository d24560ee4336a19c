/// The functions of matrixos.runtime/1 and their numbers on the wire.
#pragma once

#include "isolation/Functions.h"

#include <matrixos/abi/runtime.h>

#include <type_traits>

namespace matrixos::isolation {

template <Function kFunction>
constexpr std::integral_constant<Function, kFunction> number{};

/// Calls `visit(number<…>, &mos_runtime_v1::…)` for each.
void forEachRuntimeFunction(auto &&visit) {
  visit(number<Function::Capabilities>, &mos_runtime_v1::capabilities);
  visit(number<Function::Pull>, &mos_runtime_v1::pull);
  visit(number<Function::Create>, &mos_runtime_v1::create);
  visit(number<Function::StartInstance>, &mos_runtime_v1::start);
  visit(number<Function::StopInstance>, &mos_runtime_v1::stop);
  visit(number<Function::Remove>, &mos_runtime_v1::remove);
  visit(number<Function::Inspect>, &mos_runtime_v1::inspect);
  visit(number<Function::List>, &mos_runtime_v1::list);
  visit(number<Function::Logs>, &mos_runtime_v1::logs);
  visit(number<Function::Stats>, &mos_runtime_v1::stats);
  visit(number<Function::Pause>, &mos_runtime_v1::pause);
  visit(number<Function::Unpause>, &mos_runtime_v1::unpause);
  visit(number<Function::Events>, &mos_runtime_v1::events);
  visit(number<Function::VolumeEnsure>, &mos_runtime_v1::volume_ensure);
  visit(number<Function::VolumeTrash>, &mos_runtime_v1::volume_trash);
  visit(number<Function::VolumeSnapshot>, &mos_runtime_v1::volume_snapshot);
  visit(number<Function::Endpoints>, &mos_runtime_v1::endpoints);
  visit(number<Function::StartDescribed>, &mos_runtime_v1::start_described);
  visit(number<Function::VolumeRemoveIfEmpty>, &mos_runtime_v1::volume_remove_if_empty);
}

} // namespace matrixos::isolation
