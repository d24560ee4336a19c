/// matrixos/runtime.hpp: "matrixos.runtime/1" from both sides: Runtime to derive a runtime plugin from, RuntimeClient
/// to use one. Contract and payloads: abi/runtime.h.
#pragma once

#include <matrixos/abi/runtime.h>
#include <matrixos/call.hpp>
#include <matrixos/status.hpp>

#include <functional>
#include <string>
#include <string_view>

namespace matrixos {
inline namespace v1 {

/// Receives items of a stream; answers false to stop it.
using ItemFn = std::function<bool(std::string_view item)>;

/// A container engine, a process supervisor or the like. All functions are called concurrently on threads where
/// blocking is allowed. They throw matrixos::Error; what is not overridden is unimplemented.
class Runtime {
public:
  Runtime() noexcept { fill(); }
  Runtime(const Runtime &) = delete;
  Runtime &operator=(const Runtime &) = delete;
  virtual ~Runtime() = default;

  /// The table to hand to Services::provide(); lives as long as the object.
  const mos_runtime_v1 *table() const noexcept { return &table_; }

  virtual std::string capabilities(const Call &call) = 0;
  virtual std::string pull(const Call &, std::string_view /*requestJson*/, const ItemFn & /*progress*/) {
    throw unimplemented("pull");
  }
  virtual std::string create(const Call &call, std::string_view specJson) = 0;
  virtual void start(const Call &call, std::string_view ref) = 0;
  virtual void stop(const Call &call, std::string_view ref, std::chrono::milliseconds grace) = 0;
  virtual void remove(const Call &call, std::string_view ref, std::uint32_t flags) = 0;
  virtual std::string inspect(const Call &call, std::string_view ref) = 0;
  virtual void list(const Call &call, std::string_view labelsJson, const ItemFn &item) = 0;
  virtual void logs(const Call &, std::string_view /*ref*/, std::string_view /*optionsJson*/, const ItemFn & /*line*/) {
    throw unimplemented("logs");
  }
  virtual std::string stats(const Call &, std::string_view /*ref*/) { throw unimplemented("stats"); }
  virtual void pause(const Call &, std::string_view /*ref*/) { throw unimplemented("pause"); }
  virtual void unpause(const Call &, std::string_view /*ref*/) { throw unimplemented("unpause"); }
  virtual void events(const Call &, std::string_view /*labelsJson*/, const ItemFn & /*item*/) {
    throw unimplemented("events");
  }
  virtual std::string volumeEnsure(const Call &, std::string_view /*requestJson*/) { throw unimplemented("volumes"); }
  virtual void volumeTrash(const Call &, std::string_view /*volume*/, std::string_view /*as*/) {
    throw unimplemented("volumes");
  }
  virtual void volumeSnapshot(const Call &, std::string_view /*volume*/, std::string_view /*as*/) {
    throw unimplemented("volume snapshots");
  }
  virtual std::string endpoints(const Call &call, std::string_view ref) = 0;
  /// Override it where the description is known after a start without asking again.
  virtual std::string startDescribed(const Call &call, std::string_view ref) {
    start(call, ref);
    return inspect(call, ref);
  }
  virtual void volumeRemoveIfEmpty(const Call &, std::string_view /*volume*/) { throw unimplemented("volumes"); }

protected:
  static Error unimplemented(const std::string &what) {
    return Error(Status::Unimplemented, "this runtime has no " + what, "UNIMPLEMENTED");
  }

private:
  static Runtime &of(void *self) noexcept { return *static_cast<Runtime *>(self); }
  static ItemFn itemFn(mos_sink sink) {
    return [sink](std::string_view item) { return sink.item(sink.ctx, toAbi(item)) == MOS_SINK_CONTINUE; };
  }

  void fill() noexcept {
    table_.struct_size = sizeof table_;
    table_.minor = MOS_RUNTIME_1_MINOR;
    table_.self = this;
    table_.capabilities = [](void *self, const mos_call *call, mos_buf *out, mos_error *e) {
      return guarded(e, [&] { giveBuffer(out, of(self).capabilities(Call(call))); });
    };
    table_.pull = [](void *self, const mos_call *call, mos_str request, mos_sink progress, mos_buf *out, mos_error *e) {
      return guarded(e, [&] { giveBuffer(out, of(self).pull(Call(call), fromAbi(request), itemFn(progress))); });
    };
    table_.create = [](void *self, const mos_call *call, mos_str spec, mos_buf *out, mos_error *e) {
      return guarded(e, [&] { giveBuffer(out, of(self).create(Call(call), fromAbi(spec))); });
    };
    table_.start = [](void *self, const mos_call *call, mos_str ref, mos_error *e) {
      return guarded(e, [&] { of(self).start(Call(call), fromAbi(ref)); });
    };
    table_.stop = [](void *self, const mos_call *call, mos_str ref, std::int64_t grace, mos_error *e) {
      return guarded(e, [&] { of(self).stop(Call(call), fromAbi(ref), std::chrono::milliseconds{grace}); });
    };
    table_.remove = [](void *self, const mos_call *call, mos_str ref, std::uint32_t flags, mos_error *e) {
      return guarded(e, [&] { of(self).remove(Call(call), fromAbi(ref), flags); });
    };
    table_.inspect = [](void *self, const mos_call *call, mos_str ref, mos_buf *out, mos_error *e) {
      return guarded(e, [&] { giveBuffer(out, of(self).inspect(Call(call), fromAbi(ref))); });
    };
    table_.list = [](void *self, const mos_call *call, mos_str labels, mos_sink items, mos_error *e) {
      return guarded(e, [&] { of(self).list(Call(call), fromAbi(labels), itemFn(items)); });
    };
    table_.logs = [](void *self, const mos_call *call, mos_str ref, mos_str options, mos_sink lines, mos_error *e) {
      return guarded(e, [&] { of(self).logs(Call(call), fromAbi(ref), fromAbi(options), itemFn(lines)); });
    };
    table_.stats = [](void *self, const mos_call *call, mos_str ref, mos_buf *out, mos_error *e) {
      return guarded(e, [&] { giveBuffer(out, of(self).stats(Call(call), fromAbi(ref))); });
    };
    table_.pause = [](void *self, const mos_call *call, mos_str ref, mos_error *e) {
      return guarded(e, [&] { of(self).pause(Call(call), fromAbi(ref)); });
    };
    table_.unpause = [](void *self, const mos_call *call, mos_str ref, mos_error *e) {
      return guarded(e, [&] { of(self).unpause(Call(call), fromAbi(ref)); });
    };
    table_.events = [](void *self, const mos_call *call, mos_str labels, mos_sink items, mos_error *e) {
      return guarded(e, [&] { of(self).events(Call(call), fromAbi(labels), itemFn(items)); });
    };
    table_.volume_ensure = [](void *self, const mos_call *call, mos_str request, mos_buf *out, mos_error *e) {
      return guarded(e, [&] { giveBuffer(out, of(self).volumeEnsure(Call(call), fromAbi(request))); });
    };
    table_.volume_trash = [](void *self, const mos_call *call, mos_str volume, mos_str as, mos_error *e) {
      return guarded(e, [&] { of(self).volumeTrash(Call(call), fromAbi(volume), fromAbi(as)); });
    };
    table_.volume_snapshot = [](void *self, const mos_call *call, mos_str volume, mos_str as, mos_error *e) {
      return guarded(e, [&] { of(self).volumeSnapshot(Call(call), fromAbi(volume), fromAbi(as)); });
    };
    table_.endpoints = [](void *self, const mos_call *call, mos_str ref, mos_buf *out, mos_error *e) {
      return guarded(e, [&] { giveBuffer(out, of(self).endpoints(Call(call), fromAbi(ref))); });
    };
    table_.start_described = [](void *self, const mos_call *call, mos_str ref, mos_buf *out, mos_error *e) {
      return guarded(e, [&] { giveBuffer(out, of(self).startDescribed(Call(call), fromAbi(ref))); });
    };
    table_.volume_remove_if_empty = [](void *self, const mos_call *call, mos_str volume, mos_error *e) {
      return guarded(e, [&] { of(self).volumeRemoveIfEmpty(Call(call), fromAbi(volume)); });
    };
  }

  mos_runtime_v1 table_{};
};

/// A runtime as its users see it. Copyable view; every function blocks and throws matrixos::Error.
class RuntimeClient {
public:
  explicit RuntimeClient(const mos_runtime_v1 *table) noexcept : t_(table) {}

  std::string capabilities(const mos_call *call) const {
    return text([&](mos_buf *out, mos_error *e) { return t_->capabilities(t_->self, call, out, e); });
  }
  std::string pull(const mos_call *call, std::string_view requestJson, const ItemFn &progress) const {
    SinkOf sink(progress);
    std::string answer = text(
        [&](mos_buf *out, mos_error *e) { return t_->pull(t_->self, call, toAbi(requestJson), sink.abi(), out, e); });
    sink.rethrow();
    return answer;
  }
  std::string create(const mos_call *call, std::string_view specJson) const {
    return text([&](mos_buf *out, mos_error *e) { return t_->create(t_->self, call, toAbi(specJson), out, e); });
  }
  void start(const mos_call *call, std::string_view ref) const {
    check([&](mos_error *e) { return t_->start(t_->self, call, toAbi(ref), e); });
  }
  void stop(const mos_call *call, std::string_view ref, std::chrono::milliseconds grace) const {
    check([&](mos_error *e) { return t_->stop(t_->self, call, toAbi(ref), grace.count(), e); });
  }
  void remove(const mos_call *call, std::string_view ref, std::uint32_t flags) const {
    check([&](mos_error *e) { return t_->remove(t_->self, call, toAbi(ref), flags, e); });
  }
  std::string inspect(const mos_call *call, std::string_view ref) const {
    return text([&](mos_buf *out, mos_error *e) { return t_->inspect(t_->self, call, toAbi(ref), out, e); });
  }
  void list(const mos_call *call, std::string_view labelsJson, const ItemFn &item) const {
    SinkOf sink(item);
    check([&](mos_error *e) { return t_->list(t_->self, call, toAbi(labelsJson), sink.abi(), e); });
    sink.rethrow();
  }
  void logs(const mos_call *call, std::string_view ref, std::string_view optionsJson, const ItemFn &line) const {
    SinkOf sink(line);
    check([&](mos_error *e) { return t_->logs(t_->self, call, toAbi(ref), toAbi(optionsJson), sink.abi(), e); });
    sink.rethrow();
  }
  std::string stats(const mos_call *call, std::string_view ref) const {
    return text([&](mos_buf *out, mos_error *e) { return t_->stats(t_->self, call, toAbi(ref), out, e); });
  }
  void pause(const mos_call *call, std::string_view ref) const {
    check([&](mos_error *e) { return t_->pause(t_->self, call, toAbi(ref), e); });
  }
  void unpause(const mos_call *call, std::string_view ref) const {
    check([&](mos_error *e) { return t_->unpause(t_->self, call, toAbi(ref), e); });
  }
  void events(const mos_call *call, std::string_view labelsJson, const ItemFn &item) const {
    SinkOf sink(item);
    check([&](mos_error *e) { return t_->events(t_->self, call, toAbi(labelsJson), sink.abi(), e); });
    sink.rethrow();
  }
  std::string volumeEnsure(const mos_call *call, std::string_view requestJson) const {
    return text(
        [&](mos_buf *out, mos_error *e) { return t_->volume_ensure(t_->self, call, toAbi(requestJson), out, e); });
  }
  void volumeTrash(const mos_call *call, std::string_view volume, std::string_view as) const {
    check([&](mos_error *e) { return t_->volume_trash(t_->self, call, toAbi(volume), toAbi(as), e); });
  }
  void volumeSnapshot(const mos_call *call, std::string_view volume, std::string_view as) const {
    check([&](mos_error *e) { return t_->volume_snapshot(t_->self, call, toAbi(volume), toAbi(as), e); });
  }
  std::string endpoints(const mos_call *call, std::string_view ref) const {
    return text([&](mos_buf *out, mos_error *e) { return t_->endpoints(t_->self, call, toAbi(ref), out, e); });
  }
  /// start() and inspect() in one call; in two with a host of minor 0.
  std::string startDescribed(const mos_call *call, std::string_view ref) const {
    if (MOS_HAS(t_, mos_runtime_v1, start_described))
      return text([&](mos_buf *out, mos_error *e) { return t_->start_described(t_->self, call, toAbi(ref), out, e); });
    start(call, ref);
    return inspect(call, ref);
  }
  void volumeRemoveIfEmpty(const mos_call *call, std::string_view volume) const {
    check([&](mos_error *e) {
      return MOS_HAS(t_, mos_runtime_v1, volume_remove_if_empty)
                 ? t_->volume_remove_if_empty(t_->self, call, toAbi(volume), e)
                 : fail(e, Status::Unimplemented, "this runtime removes no empty volumes", "UNIMPLEMENTED");
    });
  }

private:
  template <typename Fn>
  static std::string text(Fn &&fn) {
    Buffer out;
    check([&](mos_error *e) { return fn(out.out(), e); });
    return out.str();
  }

  const mos_runtime_v1 *t_;
};

} // namespace v1
} // namespace matrixos
