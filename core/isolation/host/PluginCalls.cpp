#include "isolation/host/PluginCalls.h"

#include "common/CallContext.h"
#include "isolation/host/CrashReporter.h"
#include "isolation/host/PluginLibrary.h"

#include <matrixos/abi/runtime.h>
#include <matrixos/call.hpp>

#include <condition_variable>

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

mos_status PluginCalls::runRuntime(Call &call, const mos_runtime_v1 &r, mos_buf *out, mos_error *error) {
  const mos_str first = toAbi(call.first), second = toAbi(call.second);
  const mos_call *context = call.context.abi();
  SinkOf sink([&](std::string_view item) { return sendItem(call, item); });
  const auto with = [&](auto function, auto... arguments) -> mos_status {
    if (function == nullptr) return fail(error, Status::Unimplemented, "the plugin's table has no such function");
    return function(r.self, context, arguments..., error);
  };
  switch (call.function) {
  case Function::Capabilities:
    return with(r.capabilities, out);
  case Function::Pull:
    return with(r.pull, first, sink.abi(), out);
  case Function::Create:
    return with(r.create, first, out);
  case Function::StartInstance:
    return with(r.start, first);
  case Function::StopInstance:
    return with(r.stop, first, call.number);
  case Function::Remove:
    return with(r.remove, first, static_cast<std::uint32_t>(call.number));
  case Function::Inspect:
    return with(r.inspect, first, out);
  case Function::List:
    return with(r.list, first, sink.abi());
  case Function::Logs:
    return with(r.logs, first, second, sink.abi());
  case Function::Stats:
    return with(r.stats, first, out);
  case Function::Pause:
    return with(r.pause, first);
  case Function::Unpause:
    return with(r.unpause, first);
  case Function::Events:
    return with(r.events, first, sink.abi());
  case Function::VolumeEnsure:
    return with(r.volume_ensure, first, out);
  case Function::VolumeTrash:
    return with(r.volume_trash, first, second);
  case Function::VolumeSnapshot:
    return with(r.volume_snapshot, first, second);
  case Function::Endpoints:
    return with(r.endpoints, first, out);
  case Function::StartDescribed:
    return with(MOS_HAS(&r, mos_runtime_v1, start_described) ? r.start_described : nullptr, first, out);
  case Function::VolumeRemoveIfEmpty:
    return with(MOS_HAS(&r, mos_runtime_v1, volume_remove_if_empty) ? r.volume_remove_if_empty : nullptr, first);
  default:
    return fail(error, Status::Internal, "no function of a runtime");
  }
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
