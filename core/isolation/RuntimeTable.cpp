#include "isolation/RuntimeTable.h"

#include <matrixos/status.hpp>

#include <algorithm>

namespace matrixos::isolation {

mos_status RuntimeTable::run(Function function, const mos_call *call, mos_error *error, mos_str first, mos_str second,
                             std::int64_t number, mos_buf *out, const mos_sink *sink) noexcept {
  return calls_.run({function, slot_, fromAbi(first), fromAbi(second), number, sink, out}, call, error);
}

RuntimeTable::RuntimeTable(CallTable &calls, std::uint16_t slot, std::uint32_t minor) : calls_(calls), slot_(slot) {
  table_.struct_size = sizeof table_;
  table_.minor = std::min<std::uint32_t>(minor, MOS_RUNTIME_1_MINOR);
  table_.self = this;
  table_.capabilities = [](void *self, const mos_call *call, mos_buf *out, mos_error *e) {
    return of(self).run(Function::Capabilities, call, e, {}, {}, 0, out);
  };
  table_.pull = [](void *self, const mos_call *call, mos_str request, mos_sink progress, mos_buf *out, mos_error *e) {
    return of(self).run(Function::Pull, call, e, request, {}, 0, out, &progress);
  };
  table_.create = [](void *self, const mos_call *call, mos_str spec, mos_buf *out, mos_error *e) {
    return of(self).run(Function::Create, call, e, spec, {}, 0, out);
  };
  table_.start = [](void *self, const mos_call *call, mos_str ref, mos_error *e) {
    return of(self).run(Function::StartInstance, call, e, ref);
  };
  table_.stop = [](void *self, const mos_call *call, mos_str ref, std::int64_t grace, mos_error *e) {
    return of(self).run(Function::StopInstance, call, e, ref, {}, grace);
  };
  table_.remove = [](void *self, const mos_call *call, mos_str ref, std::uint32_t flags, mos_error *e) {
    return of(self).run(Function::Remove, call, e, ref, {}, flags);
  };
  table_.inspect = [](void *self, const mos_call *call, mos_str ref, mos_buf *out, mos_error *e) {
    return of(self).run(Function::Inspect, call, e, ref, {}, 0, out);
  };
  table_.list = [](void *self, const mos_call *call, mos_str labels, mos_sink items, mos_error *e) {
    return of(self).run(Function::List, call, e, labels, {}, 0, nullptr, &items);
  };
  table_.logs = [](void *self, const mos_call *call, mos_str ref, mos_str options, mos_sink lines, mos_error *e) {
    return of(self).run(Function::Logs, call, e, ref, options, 0, nullptr, &lines);
  };
  table_.stats = [](void *self, const mos_call *call, mos_str ref, mos_buf *out, mos_error *e) {
    return of(self).run(Function::Stats, call, e, ref, {}, 0, out);
  };
  table_.pause = [](void *self, const mos_call *call, mos_str ref, mos_error *e) {
    return of(self).run(Function::Pause, call, e, ref);
  };
  table_.unpause = [](void *self, const mos_call *call, mos_str ref, mos_error *e) {
    return of(self).run(Function::Unpause, call, e, ref);
  };
  table_.events = [](void *self, const mos_call *call, mos_str labels, mos_sink items, mos_error *e) {
    return of(self).run(Function::Events, call, e, labels, {}, 0, nullptr, &items);
  };
  table_.volume_ensure = [](void *self, const mos_call *call, mos_str request, mos_buf *out, mos_error *e) {
    return of(self).run(Function::VolumeEnsure, call, e, request, {}, 0, out);
  };
  table_.volume_trash = [](void *self, const mos_call *call, mos_str volume, mos_str as, mos_error *e) {
    return of(self).run(Function::VolumeTrash, call, e, volume, as);
  };
  table_.volume_snapshot = [](void *self, const mos_call *call, mos_str volume, mos_str as, mos_error *e) {
    return of(self).run(Function::VolumeSnapshot, call, e, volume, as);
  };
  table_.endpoints = [](void *self, const mos_call *call, mos_str ref, mos_buf *out, mos_error *e) {
    return of(self).run(Function::Endpoints, call, e, ref, {}, 0, out);
  };
  table_.start_described = [](void *self, const mos_call *call, mos_str ref, mos_buf *out, mos_error *e) {
    return of(self).run(Function::StartDescribed, call, e, ref, {}, 0, out);
  };
  table_.volume_remove_if_empty = [](void *self, const mos_call *call, mos_str volume, mos_error *e) {
    return of(self).run(Function::VolumeRemoveIfEmpty, call, e, volume);
  };
}

} // namespace matrixos::isolation
