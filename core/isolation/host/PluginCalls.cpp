#include "isolation/host/PluginCalls.h"

#include "common/CallContext.h"
#include "isolation/host/CrashReporter.h"
#include "isolation/host/PluginLibrary.h"

#include <matrixos/call.hpp>

#include <array>
#include <condition_variable>
#include <vector>

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

/// What a frame brought, in the form of mos_forwarder_v1.call.
class FrameArguments {
public:
  FrameArguments(const common::ServiceFunction &function, const std::vector<std::string> &texts,
                 const std::vector<std::int64_t> &numbers, const mos_call *call, mos_sink sink, mos_buf *out,
                 mos_error *error)
      : error_(error) {
    std::size_t text = 0, number = 0;
    const std::string &letters = function.parameters;
    for (std::size_t i = 0; i < letters.size(); ++i) {
      args_[i] = &values_[i];
      switch (letters[i]) {
      case 'c':
        values_[i].call = call;
        break;
      case 's':
      case 'j':
        values_[i].text = toAbi(texts.at(text++));
        break;
      case 'i':
      case 'U':
        values_[i].integer = numbers.at(number++);
        break;
      case 'u':
        values_[i].small = static_cast<std::uint32_t>(numbers.at(number++));
        break;
      case 'k':
        values_[i].sink = sink;
        break;
      default:
        values_[i].buffer = out;
      }
    }
    args_[letters.size()] = &error_;
  }

  void *const *args() const noexcept { return args_.data(); }

private:
  std::array<common::ServiceValue, MOS_MOST_PARAMETERS> values_{};
  std::array<void *, MOS_MOST_PARAMETERS + 1> args_{};
  mos_error *error_;
};

} // namespace

/// A call from its frame to its answer. Its texts are copies, since the plugin may take its time.
struct PluginCalls::Call {
  explicit Call(const CallFrame &frame)
      : id(frame.id), function(frame.function), slot(frame.slot), texts(frame.texts.begin(), frame.texts.end()),
        numbers(frame.numbers), context(contextOf(frame)) {}

  const std::uint64_t id;
  const std::uint8_t function; ///< its number on the wire
  const std::uint16_t slot;
  const std::vector<std::string> texts;
  const std::vector<std::int64_t> numbers;
  common::CallContext context;

  std::mutex mutex;
  std::condition_variable changed;
  std::uint32_t credit = kStreamWindow;
  std::string batch;        ///< items of a list that have not been sent; of the thread that makes the call
  bool lists = false;       ///< its items come at once and end soon
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
  if (call.function >= kFirstOfService) return runService(call, json, error);
  const Function &function = call.function == kStart.number  ? kStart
                             : call.function == kStop.number ? kStop
                                                             : kReconfigure;
  const CrashReporter::Scope scope(function.name);
  if (call.function == kStart.number) return start(error);
  if (plugin_.stop == nullptr) return fail(error, Status::Unavailable, "the plugin was not started", "STOPPED");
  if (call.function == kStop.number) return stop(error);
  return plugin_.reconfigure == nullptr ? MOS_OK : plugin_.reconfigure(plugin_.self, error);
}

mos_status PluginCalls::runService(Call &call, std::string &json, mos_error *error) {
  const std::size_t number = call.function - std::size_t{kFirstOfService};
  const common::ServiceDescription *service = tables_ ? tables_->serviceOf(call.slot) : nullptr;
  if (service == nullptr || number >= service->functions.size())
    return fail(error, Status::Unimplemented, "the plugin has no such function");
  const common::ServiceFunction &function = service->functions[number];
  const CrashReporter::Scope scope(function.call.c_str());
  const HostTables::ServiceUse use(*tables_, call.slot);
  if (use.table() == nullptr)
    return fail(error, Status::Unavailable, "the plugin does not provide it at the moment", "SERVICE_UNAVAILABLE");
  const mos_any_function present = common::functionOf(use.table(), number);
  if (present == nullptr) return fail(error, Status::Unimplemented, "the plugin's table has no such function");
  call.lists = function.has(MOS_FUNCTION_LIST);
  SinkOf sink([&](std::string_view item) { return sendItem(call, item); });
  Buffer out;
  const FrameArguments arguments(function, call.texts, call.numbers, call.context.abi(), sink.abi(), out.out(), error);
  const mos_status status = function.invoke(present, common::selfOf(use.table()), arguments.args());
  if (status == MOS_OK) json = out.str();
  return status;
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
  if (!call.lists) return link_.send(frame);
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
  for (common::ServiceDescription &service : common::ServiceDescription::readAll(*descriptor))
    common::ServiceCatalogue::instance().add(std::move(service));
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
