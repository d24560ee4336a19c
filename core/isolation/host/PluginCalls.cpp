#include "isolation/host/PluginCalls.h"

#include "common/CallContext.h"
#include "common/TableFunction.h"
#include "isolation/RuntimeFunctions.h"
#include "isolation/host/CrashReporter.h"
#include "isolation/host/PluginLibrary.h"

#include <matrixos/call.hpp>

#include <array>
#include <condition_variable>
#include <optional>
#include <tuple>
#include <type_traits>

namespace matrixos::isolation::host {

namespace {

/// As many as the daemon has on their way, see CallTable::Limits.
constexpr std::size_t kThreads = 136;

constexpr std::chrono::seconds kStopPatience{2};
constexpr std::size_t kBatch = 16U * 1024U;

common::ExecutorOptions threadOptions() {
  common::ExecutorOptions options;
  options.name = "call";
  options.threads = options.runningPerOwner = options.queuedPerOwner = kThreads;
  return options;
}

mos_call contextOf(const CallFrame &frame) {
  mos_call call{};
  call.struct_size = sizeof call;
  call.cancel_fd = -1;
  call.deadline_ns = frame.deadlineNs;
  call.operation_id = toAbi(frame.operationId);
  call.trace_id = toAbi(frame.traceId);
  return call;
}

/// What a frame brought, to be given to a function of a table by the types of its parameters.
struct FrameArguments {
  std::array<mos_str, 2> texts;
  std::int64_t number;
  mos_sink sink;
  mos_buf *out;
  mos_error *error;
  std::size_t given = 0; ///< texts

  template <typename... Params>
  mos_status give(mos_status (*function)(void *, const mos_call *, Params...), void *self, const mos_call *call) {
    const std::tuple<Params...> all{take<Params>()...}; // in braces: from left to right
    return std::apply([&](auto... params) { return function(self, call, params...); }, all);
  }

private:
  template <typename Param>
  Param take() noexcept {
    if constexpr (std::is_same_v<Param, mos_str>)
      return texts.at(given++);
    else if constexpr (std::is_integral_v<Param>)
      return static_cast<Param>(number);
    else if constexpr (std::is_same_v<Param, mos_sink>)
      return sink;
    else if constexpr (std::is_same_v<Param, mos_buf *>)
      return out;
    else
      return error;
  }
};

} // namespace

/// A call from its frame to its answer. Its texts are copies, since the plugin may take its time.
struct PluginCalls::Call {
  explicit Call(const CallFrame &frame)
      : id(frame.id), function(static_cast<Function>(frame.function)), slot(frame.slot), first(frame.first),
        second(frame.second), number(frame.number), context(contextOf(frame)) {}

  const std::uint64_t id;
  const Function function;
  const std::uint16_t slot;
  const std::string first, second;
  const std::int64_t number;
  common::CallContext context;

  std::mutex mutex;
  std::condition_variable changed;
  std::uint32_t credit = kStreamWindow;
  std::string batch;        ///< items of a list that have not been sent; of the thread that makes the call
  bool stopped = false;     ///< nobody wants further items
  std::size_t tooLarge = 0; ///< size of an item that cannot be sent

  void stop() {
    {
      const std::lock_guard lock(mutex);
      stopped = true;
      changed.notify_all();
    }
    context.cancel();
  }

  void allow(std::uint32_t cost) {
    const std::lock_guard lock(mutex);
    credit = std::min(credit + cost, kStreamWindow);
    changed.notify_all();
  }

  /// Whether admit() would wait.
  bool mustWait(std::string_view item) {
    const std::lock_guard lock(mutex);
    return credit < itemCost(item) && credit != kStreamWindow;
  }

  /// Waits until the daemon wants the item. False when it wants none any more.
  bool admit(std::string_view item) {
    std::unique_lock lock(mutex);
    if (item.size() > kMaxItem) {
      tooLarge = item.size();
      stopped = true;
    }
    const std::uint32_t cost = itemCost(item);
    // One that is larger than the window travels alone.
    changed.wait(lock, [&] { return stopped || credit >= cost || credit == kStreamWindow; });
    if (stopped) return false;
    credit -= std::min(credit, cost);
    return true;
  }
};

PluginCalls::PluginCalls(DaemonLink &link, std::string file, std::string id)
    : link_(link), file_(std::move(file)), id_(std::move(id)), threads_(threadOptions()) {}

PluginCalls::~PluginCalls() = default;

void PluginCalls::onFrame(FrameType type, std::string_view payload) {
  if (type == FrameType::Call) return onCall(payload);
  if (type == FrameType::Cancel) {
    const auto frame = decode<CancelFrame>(payload);
    if (const auto call = find(frame.id)) call->stop();
    return;
  }
  if (type != FrameType::Credit) refuseFrame("a frame that only the plugin's process sends");
  const auto frame = decode<CreditFrame>(payload);
  if (const auto call = find(frame.id)) call->allow(frame.cost);
}

std::shared_ptr<PluginCalls::Call> PluginCalls::find(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto at = calls_.find(id);
  return at == calls_.end() ? nullptr : at->second;
}

void PluginCalls::onCall(std::string_view payload) {
  const auto frame = decode<CallFrame>(payload);
  if (frame.function >= kFunctions.size()) refuseFrame("there is no function " + std::to_string(frame.function));
  auto call = std::make_shared<Call>(frame);
  {
    const std::lock_guard lock(mutex_);
    calls_.emplace(call->id, call);
  }
  threads_.submit(common::kCoreOwner, [this, call] { work(call); });
}

void PluginCalls::work(const std::shared_ptr<Call> &call) {
  ResultFrame result;
  result.id = call->id;
  std::string json;
  mos_error error{};
  mos_status status = guarded(&error, [&] { return run(*call, json, &error); });
  if (call->tooLarge != 0) {
    status = fail(&error, Status::ResourceExhausted,
                  "the plugin gave an item of " + std::to_string(call->tooLarge) +
                      " bytes, and isolation carries at most " + std::to_string(kMaxItem));
  } else if (json.size() > kMaxText) {
    status = fail(&error, Status::ResourceExhausted,
                  "the plugin gave an answer of " + std::to_string(json.size()) +
                      " bytes, and isolation carries at most " + std::to_string(kMaxText));
    json.clear();
  }
  result.failure = FrameError::of(status, error);
  if (status == MOS_OK) result.json = json;
  {
    const std::lock_guard lock(mutex_);
    calls_.erase(call->id);
    left_.notify_all();
  }
  link_.sendEncoded(call->batch + encode(result));
}

mos_status PluginCalls::run(Call &call, std::string &json, mos_error *error) {
  const CrashReporter::Scope scope(infoOf(call.function).name);
  if (call.function == Function::Start) return start(error);
  if (plugin_.stop == nullptr) return fail(error, Status::Unavailable, "the plugin was not started", "STOPPED");
  if (call.function == Function::Stop) return stop(error);
  if (call.function == Function::Reconfigure) {
    return plugin_.reconfigure == nullptr ? MOS_OK : plugin_.reconfigure(plugin_.self, error);
  }
  const HostTables::RuntimeUse use(*tables_, call.slot);
  if (use.table() == nullptr) {
    return fail(error, Status::Unavailable, "the plugin does not provide it at the moment", "SERVICE_UNAVAILABLE");
  }
  Buffer out;
  const mos_status status = runRuntime(call, *use.table(), out.out(), error);
  if (status == MOS_OK) json = out.str();
  return status;
}

mos_status PluginCalls::runRuntime(Call &call, const mos_runtime_v1 &runtime, mos_buf *out, mos_error *error) {
  SinkOf sink([&](std::string_view item) { return sendItem(call, item); });
  FrameArguments arguments{{toAbi(call.first), toAbi(call.second)}, call.number, sink.abi(), out, error};
  std::optional<mos_status> status;
  forEachRuntimeFunction([&](auto number, auto member) {
    if (number() != call.function) return;
    if (const auto function = common::functionOf(runtime, member))
      status = arguments.give(function, runtime.self, call.context.abi());
  });
  return status ? *status : fail(error, Status::Unimplemented, "the plugin's table has no such function");
}

bool PluginCalls::sendItem(Call &call, std::string_view item) {
  if (!call.batch.empty() && call.mustWait(item)) {
    if (!link_.sendEncoded(call.batch)) return false; // nothing is allowed anew before it has been seen
    call.batch.clear();
  }
  if (!call.admit(item)) return false;
  ItemFrame frame;
  frame.id = call.id;
  frame.item = item;
  // The items of a list come at once and end soon, so that they may travel together; those of other streams are news.
  if (call.function != Function::List) return link_.send(frame);
  call.batch += encode(frame);
  if (call.batch.size() < kBatch) return true;
  const bool sent = link_.sendEncoded(call.batch);
  call.batch.clear();
  return sent;
}

void PluginCalls::enterPhase(const char *name) {
  PhaseFrame frame;
  frame.name = name;
  link_.send(frame);
}

mos_status PluginCalls::start(mos_error *error) {
  enterPhase("loading");
  const mos_descriptor_v1 *descriptor = loadPlugin(file_);
  checkDescriptor(descriptor, id_);
  tables_ = std::make_unique<HostTables>(link_, *descriptor);
  link_.onIdle([this] { tables_->samples().flush(); });
  plugin_ = {};
  plugin_.struct_size = sizeof plugin_;
  enterPhase("create()");
  mos_status status = descriptor->create(tables_->host(), &plugin_, error);
  if (status != MOS_OK) return status;
  if (plugin_.start == nullptr || plugin_.stop == nullptr) {
    return fail(error, Status::FailedPrecondition, "create() left start or stop empty");
  }
  enterPhase("start()");
  return plugin_.start(plugin_.self, error);
}

mos_status PluginCalls::stop(mos_error *error) {
  const mos_status status = plugin_.stop(plugin_.self, error);
  tables_->close();
  bool alone = false;
  {
    // What is still inside it would miss what destroy() frees; this process ends soon anyway.
    std::unique_lock lock(mutex_);
    alone = left_.wait_for(lock, kStopPatience, [this] { return calls_.size() == 1; });
  }
  if (alone && plugin_.destroy != nullptr) plugin_.destroy(plugin_.self);
  return status;
}

} // namespace matrixos::isolation::host
