#include "isolation/host/PluginCalls.h"

#include "isolation/Arguments.h"
#include "isolation/ServedCall.h"
#include "isolation/host/CrashReporter.h"
#include "isolation/host/PluginLibrary.h"

#include <matrixos/call.hpp>

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

} // namespace

/// What PluginCalls keeps of a call beside what either side does.
struct PluginCalls::Call : ServedCall {
  using ServedCall::ServedCall;

  std::string batch;  ///< items of a list that have not been sent; of the thread that makes the call
  bool lists = false; ///< its items come at once and end soon
};

PluginCalls::PluginCalls(DaemonLink &link, std::string file, std::string id)
    : link_(link), file_(std::move(file)), id_(std::move(id)), needed_(link), events_(link), threads_(threadOptions()) {
}

PluginCalls::~PluginCalls() = default;

void PluginCalls::onFrame(FrameType type, std::string_view payload) {
  switch (type) {
  case FrameType::Call:
    return onCall(payload);
  case FrameType::Cancel: {
    const auto frame = decode<CancelFrame>(payload);
    if (const auto call = find(frame.id)) call->stop();
    return;
  }
  case FrameType::Credit: {
    const auto frame = decode<CreditFrame>(payload);
    if (const auto call = find(frame.id)) call->allow(frame.cost);
    return;
  }
  case FrameType::UseResult:
  case FrameType::UseItem:
  case FrameType::UseDone:
    return needed_.onFrame(type, payload);
  case FrameType::Event:
    return events_.onFrame(payload);
  default:
    refuseFrame("a frame that only the plugin's process sends");
  }
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
  std::string json;
  std::uint64_t number = 0;
  mos_error error{};
  const mos_status status = guarded(&error, [&] { return run(*call, json, number, &error); });
  {
    const std::lock_guard lock(mutex_);
    calls_.erase(call->id);
    left_.notify_all();
  }
  link_.sendEncoded(call->batch + call->answer(FrameType::Result, status, error, json, number));
}

mos_status PluginCalls::run(Call &call, std::string &json, std::uint64_t &number, mos_error *error) {
  if (call.function >= kFirstOfService) return runService(call, json, error);
  const Function &function = call.function == kStart.number     ? kStart
                             : call.function == kStop.number    ? kStop
                             : call.function == kDeliver.number ? kDeliver
                                                                : kReconfigure;
  const CrashReporter::Scope scope(function.name);
  if (call.function == kStart.number) return start(error);
  if (plugin_.stop == nullptr) return fail(error, Status::Unavailable, "the plugin was not started", "STOPPED");
  if (call.function == kStop.number) return stop(error);
  if (call.function == kDeliver.number) return tables_->slow().deliver(call, number, error);
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
  Answers answers;
  answers.sink = sink.abi();
  answers.out = out.out();
  answers.error = error;
  const FrameArguments arguments(function, call.texts, call.numbers, call.context(), answers);
  const mos_status status = function.invoke(present, common::selfOf(use.table()), arguments.args());
  if (status == MOS_OK) json = out.str();
  return status;
}

bool PluginCalls::sendItem(Call &call, std::string_view item) {
  if (!call.batch.empty() && call.mustWait(item)) {
    if (!link_.sendEncoded(call.batch)) return false; // nothing is allowed anew before it has been seen
    call.batch.clear();
  }
  if (call.admit(item) != ServedCall::Admission::Wanted) return false;
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
  tables_ = std::make_unique<HostTables>(link_, needed_, events_, *descriptor);
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
  bool alone = tables_->close();
  {
    // What is still inside it would miss what destroy() frees; this process ends soon anyway.
    std::unique_lock lock(mutex_);
    alone &= left_.wait_for(lock, kStopPatience, [this] { return calls_.size() == 1; });
  }
  if (alone && plugin_.destroy != nullptr) plugin_.destroy(plugin_.self);
  return status;
}

} // namespace matrixos::isolation::host
