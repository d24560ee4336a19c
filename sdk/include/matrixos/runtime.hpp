/// matrixos/runtime.hpp: "matrixos.runtime/1" from both sides: Runtime to derive a runtime plugin from, RuntimeClient
/// to use one. Contract and payloads: abi/runtime.h.
#pragma once

#include <matrixos/abi/runtime.h>
#include <matrixos/call.hpp>
#include <matrixos/status.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>

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

  // A parameter of the table's function as the member function takes it.
  static std::tuple<std::string_view> given(mos_str text) noexcept { return {fromAbi(text)}; }
  static std::tuple<std::chrono::milliseconds> given(std::int64_t millis) noexcept {
    return {std::chrono::milliseconds{millis}};
  }
  static std::tuple<std::uint32_t> given(std::uint32_t flags) noexcept { return {flags}; }
  static std::tuple<ItemFn> given(mos_sink sink) {
    return {[sink](std::string_view item) { return sink.item(sink.ctx, toAbi(item)) == MOS_SINK_CONTINUE; }};
  }
  static std::tuple<> given(mos_buf *) noexcept { return {}; }
  static std::tuple<> given(mos_error *) noexcept { return {}; }

  /// Has a function of the table call `Method`; a text that it returns goes into the buffer, what it throws into the
  /// error.
  template <auto Method, typename... Params>
  static void serve(mos_status (*&function)(void *, const mos_call *, Params...)) noexcept {
    function = [](void *self, const mos_call *call, Params... params) -> mos_status {
      const std::tuple<Params...> all(params...);
      return guarded(std::get<mos_error *>(all), [&] {
        const auto invoke = [&](const auto &...values) { return (of(self).*Method)(Call(call), values...); };
        if constexpr ((std::is_same_v<Params, mos_buf *> || ...))
          giveBuffer(std::get<mos_buf *>(all), std::apply(invoke, std::tuple_cat(given(params)...)));
        else
          std::apply(invoke, std::tuple_cat(given(params)...));
      });
    };
  }

  void fill() noexcept {
    table_.struct_size = sizeof table_;
    table_.minor = MOS_RUNTIME_1_MINOR;
    table_.self = this;
    serve<&Runtime::capabilities>(table_.capabilities);
    serve<&Runtime::pull>(table_.pull);
    serve<&Runtime::create>(table_.create);
    serve<&Runtime::start>(table_.start);
    serve<&Runtime::stop>(table_.stop);
    serve<&Runtime::remove>(table_.remove);
    serve<&Runtime::inspect>(table_.inspect);
    serve<&Runtime::list>(table_.list);
    serve<&Runtime::logs>(table_.logs);
    serve<&Runtime::stats>(table_.stats);
    serve<&Runtime::pause>(table_.pause);
    serve<&Runtime::unpause>(table_.unpause);
    serve<&Runtime::events>(table_.events);
    serve<&Runtime::volumeEnsure>(table_.volume_ensure);
    serve<&Runtime::volumeTrash>(table_.volume_trash);
    serve<&Runtime::volumeSnapshot>(table_.volume_snapshot);
    serve<&Runtime::endpoints>(table_.endpoints);
    serve<&Runtime::startDescribed>(table_.start_described);
    serve<&Runtime::volumeRemoveIfEmpty>(table_.volume_remove_if_empty);
  }

  mos_runtime_v1 table_{};
};

/// A runtime as its users see it. Copyable view; every function blocks and throws matrixos::Error.
class RuntimeClient {
public:
  explicit RuntimeClient(const mos_runtime_v1 *table) noexcept : t_(table) {}

  std::string capabilities(const mos_call *call) const { return text(t_->capabilities, call); }
  std::string pull(const mos_call *call, std::string_view requestJson, const ItemFn &progress) const {
    SinkOf sink(progress);
    std::string answer = text(t_->pull, call, requestJson, sink.abi());
    sink.rethrow();
    return answer;
  }
  std::string create(const mos_call *call, std::string_view specJson) const { return text(t_->create, call, specJson); }
  void start(const mos_call *call, std::string_view ref) const { run(t_->start, call, ref); }
  void stop(const mos_call *call, std::string_view ref, std::chrono::milliseconds grace) const {
    run(t_->stop, call, ref, grace);
  }
  void remove(const mos_call *call, std::string_view ref, std::uint32_t flags) const {
    run(t_->remove, call, ref, flags);
  }
  std::string inspect(const mos_call *call, std::string_view ref) const { return text(t_->inspect, call, ref); }
  void list(const mos_call *call, std::string_view labelsJson, const ItemFn &item) const {
    stream(t_->list, item, call, labelsJson);
  }
  void logs(const mos_call *call, std::string_view ref, std::string_view optionsJson, const ItemFn &line) const {
    stream(t_->logs, line, call, ref, optionsJson);
  }
  std::string stats(const mos_call *call, std::string_view ref) const { return text(t_->stats, call, ref); }
  void pause(const mos_call *call, std::string_view ref) const { run(t_->pause, call, ref); }
  void unpause(const mos_call *call, std::string_view ref) const { run(t_->unpause, call, ref); }
  void events(const mos_call *call, std::string_view labelsJson, const ItemFn &item) const {
    stream(t_->events, item, call, labelsJson);
  }
  std::string volumeEnsure(const mos_call *call, std::string_view requestJson) const {
    return text(t_->volume_ensure, call, requestJson);
  }
  void volumeTrash(const mos_call *call, std::string_view volume, std::string_view as) const {
    run(t_->volume_trash, call, volume, as);
  }
  void volumeSnapshot(const mos_call *call, std::string_view volume, std::string_view as) const {
    run(t_->volume_snapshot, call, volume, as);
  }
  std::string endpoints(const mos_call *call, std::string_view ref) const { return text(t_->endpoints, call, ref); }
  /// start() and inspect() in one call; in two with a host of minor 0.
  std::string startDescribed(const mos_call *call, std::string_view ref) const {
    if (MOS_HAS(t_, mos_runtime_v1, start_described)) return text(t_->start_described, call, ref);
    start(call, ref);
    return inspect(call, ref);
  }
  void volumeRemoveIfEmpty(const mos_call *call, std::string_view volume) const {
    if (!MOS_HAS(t_, mos_runtime_v1, volume_remove_if_empty))
      throw Error(Status::Unimplemented, "this runtime removes no empty volumes", "UNIMPLEMENTED");
    run(t_->volume_remove_if_empty, call, volume);
  }

private:
  static mos_str abi(std::string_view text) noexcept { return toAbi(text); }
  static std::int64_t abi(std::chrono::milliseconds time) noexcept { return time.count(); }
  template <typename Same>
  static Same abi(Same value) noexcept {
    return value;
  }

  template <typename... Params, typename... Args>
  void run(mos_status (*function)(void *, const mos_call *, Params...), const mos_call *call, Args... args) const {
    check([&](mos_error *e) { return function(t_->self, call, abi(args)..., e); });
  }
  template <typename Function, typename... Args>
  std::string text(Function function, const mos_call *call, Args... args) const {
    Buffer out;
    run(function, call, args..., out.out());
    return out.str();
  }
  template <typename Function, typename... Args>
  void stream(Function function, const ItemFn &item, const mos_call *call, Args... args) const {
    SinkOf sink(item);
    run(function, call, args..., sink.abi());
    sink.rethrow();
  }

  const mos_runtime_v1 *t_;
};

} // namespace v1
} // namespace matrixos
