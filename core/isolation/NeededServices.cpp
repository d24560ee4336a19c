#include "isolation/NeededServices.h"

#include "isolation/Arguments.h"
#include "isolation/Functions.h"

#include <matrixos/call.hpp>
#include <matrixos/host.hpp>
#include <matrixos/status.hpp>

#include <algorithm>
#include <deque>
#include <utility>

namespace matrixos::isolation {

namespace {

common::ExecutorOptions threadOptions(std::size_t threads) {
  common::ExecutorOptions options;
  options.name = "isolated-needs";
  options.threads = options.runningPerOwner = options.queuedPerOwner = threads;
  return options;
}

/// Answers and items that wait for the process to read; further calls wait with theirs.
constexpr std::size_t kMostAnswers = 8U << 20U;

std::size_t sizeOf(const CallFrame &frame) {
  std::size_t size = sizeof frame + frame.operationId.size() + frame.traceId.size();
  for (const std::string_view text : frame.texts)
    size += text.size();
  return size;
}

} // namespace

/// A call of the plugin's process.
struct NeededServices::Call : ServedCall {
  explicit Call(const CallFrame &frame) : ServedCall(frame) {}

  std::shared_ptr<FrameChannel> channel;
  const common::ServiceDescription *description = nullptr; ///< null: the host is asked
  const void *table = nullptr;
  std::size_t bytes = 0;
  // Of the thread that makes the call.
  std::deque<std::string> items; ///< of a function that must not wait for who takes them
  std::size_t itemBytes = 0;
  bool tooMany = false;

  const common::ServiceFunction &called() const { return description->functions[function - kFirstOfService]; }
  bool completes() const { return description != nullptr && called().find('d') != std::string::npos; }
  /// What it gives must not wait for who takes it.
  bool gathers() const {
    return description != nullptr ? !called().has(MOS_FUNCTION_BLOCKS) : HostCalls::gathers(*this);
  }
};

/// Stands for a completion in the process.
struct NeededServices::Pending {
  NeededServices &owner;
  std::shared_ptr<FrameChannel> channel;
  std::uint64_t number; ///< by which the process knows it
};

NeededServices::NeededServices(const mos_host_v1 *host, HostCalls::CallPlugin callPlugin, Limits limits)
    : host_(detail::hostTable<mos_host_services_v1>(host, MOS_HOST_SERVICES_1)),
      hostCalls_(host, std::move(callPlugin)), limits_(limits), threads_(threadOptions(limits.calls)) {}

NeededServices::~NeededServices() = default;

void NeededServices::attach(std::shared_ptr<FrameChannel> channel) {
  hostCalls_.newProcess();
  const std::lock_guard lock(mutex_);
  channel_ = std::move(channel);
}

void NeededServices::detach() {
  std::map<std::uint64_t, std::shared_ptr<Call>> calls;
  {
    const std::lock_guard lock(mutex_);
    if (channel_) channel_->close(); // who waits for it to be read waits no longer
    channel_.reset();
    calls.swap(calls_);
    releaseAll();
  }
  for (const auto &[id, call] : calls)
    call->stop();
}

void NeededServices::end() {
  detach();
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  threads_.stop(limits_.end);
}

void NeededServices::releaseAll() {
  for (Table &table : tables_) {
    for (; table.holds > 0; --table.holds)
      host_->release(host_->self, table.table, nullptr);
  }
}

void NeededServices::acquireInto(Table &table) const {
  table.description = common::ServiceCatalogue::instance().find(table.service);
  if (table.description == nullptr)
    throw Error(Status::FailedPrecondition, "nobody has described " + table.service + " to the daemon", "ISOLATED");
  check([&](mos_error *e) {
    return host_->acquire(host_->self, toAbi(table.service), toAbi(table.instance), &table.table, e);
  });
}

std::uint16_t NeededServices::acquire(std::string_view service, std::string_view instance) {
  Table wanted{std::string(service), std::string(instance)};
  const std::lock_guard lock(mutex_);
  if (ended_) throw Error(Status::Unavailable, "the plugin was stopped", "STOPPED");
  acquireInto(wanted);
  auto at = std::find_if(tables_.begin(), tables_.end(), [&](const Table &t) { return t.table == wanted.table; });
  if (at == tables_.end()) {
    if (tables_.size() >= limits_.tables) {
      host_->release(host_->self, wanted.table, nullptr);
      throw Error(Status::ResourceExhausted,
                  "the plugin uses more than " + std::to_string(limits_.tables) + " services", "ISOLATED");
    }
    at = tables_.insert(tables_.end(), std::move(wanted));
  }
  ++at->holds;
  return static_cast<std::uint16_t>(at - tables_.begin());
}

void NeededServices::release(std::int64_t number) {
  const std::lock_guard lock(mutex_);
  const auto at = static_cast<std::size_t>(number);
  if (number < 0 || at >= tables_.size() || tables_[at].holds == 0)
    throw Error(Status::NotFound, "the plugin does not hold that table", "STALE_HANDLE");
  --tables_[at].holds;
  check([&](mos_error *e) { return host_->release(host_->self, tables_[at].table, e); });
}

std::vector<std::string> NeededServices::declared(std::string_view service) const {
  std::vector<std::string> instances;
  SinkOf sink([&](std::string_view instance) {
    instances.emplace_back(instance);
    return instances.size() < kMaxEntries;
  });
  check([&](mos_error *e) { return host_->declared(host_->self, toAbi(service), sink.abi(), e); });
  sink.rethrow();
  return instances;
}

void NeededServices::call(const CallFrame &frame) {
  try {
    const std::shared_ptr<Call> call = accept(frame);
    try {
      threads_.submit(common::kCoreOwner, [self = shared_from_this(), call] { self->work(*call); });
    } catch (...) {
      forget(*call);
      throw;
    }
  } catch (const Error &e) {
    if (e.reason() == "PROTOCOL") throw;
    mos_error error{};
    fail(&error, e.status(), e.what(), e.reason(), e.retryAfterMs());
    const std::lock_guard lock(mutex_);
    if (channel_) channel_->send(encodeResult(FrameType::UseResult, frame.id, error.status, error, {}));
  }
}

void NeededServices::cancel(const CancelFrame &frame) {
  if (const auto call = find(frame.id)) call->stop();
}

void NeededServices::credit(const CreditFrame &frame) {
  if (const auto call = find(frame.id)) call->allow(frame.cost);
}

std::shared_ptr<NeededServices::Call> NeededServices::find(std::uint64_t id) const {
  const std::lock_guard lock(mutex_);
  const auto at = calls_.find(id);
  return at == calls_.end() ? nullptr : at->second;
}

void NeededServices::forget(const Call &call) {
  const std::lock_guard lock(mutex_);
  const auto at = calls_.find(call.id); // another process counts anew
  if (at != calls_.end() && at->second.get() == &call) calls_.erase(at);
  --running_;
  bytes_ -= call.bytes;
}

/// Whoever came since may have described the service in a way that its table can be called here.
void NeededServices::renew(Table &table) const {
  if (common::ServiceCatalogue::instance().find(table.service) == table.description) return;
  const Table before = table;
  guarded(nullptr, [&] {
    acquireInto(table);
    host_->release(host_->self, before.table, nullptr);
    for (int i = 1; i < table.holds; ++i) {
      acquireInto(table);
      host_->release(host_->self, before.table, nullptr);
    }
  });
}

std::shared_ptr<NeededServices::Call> NeededServices::accept(const CallFrame &frame) {
  const std::lock_guard lock(mutex_);
  // Its threads number them in turn, and send them as they come.
  if (calls_.count(frame.id) != 0) refuseFrame("two calls of one number");
  auto call = std::make_shared<Call>(frame);
  call->channel = channel_;
  call->bytes = sizeOf(frame);
  if (frame.slot != kHostSlot) find(*call);
  if (running_ >= limits_.calls || bytes_ + call->bytes > limits_.bytes ||
      (call->completes() && pending_.size() >= limits_.completions)) {
    throw Error(Status::ResourceExhausted,
                "the plugin has " + std::to_string(running_ + pending_.size()) +
                    " calls of services of others under way, which is the most it may; try again",
                "PLUGIN_BUSY", 100);
  }
  calls_.emplace(call->id, call);
  ++running_;
  bytes_ += call->bytes;
  return call;
}

/// What it calls, under the mutex.
void NeededServices::find(Call &call) {
  if (call.slot >= tables_.size()) refuseFrame("a call of a service that was not acquired");
  Table &table = tables_[call.slot];
  if (table.holds == 0)
    throw Error(Status::FailedPrecondition, "the table of the service was released", "TABLE_RELEASED");
  renew(table);
  if (call.function < kFirstOfService ||
      call.function - std::size_t{kFirstOfService} >= table.description->functions.size())
    throw Error(Status::Unimplemented, table.service + " has no such function here", "UNIMPLEMENTED");
  call.description = table.description;
  call.table = table.table;
}

void NeededServices::work(Call &call) {
  std::string json;
  std::uint64_t number = 0;
  mos_error error{};
  const mos_status status = guarded(&error, [&] { return run(call, json, number, &error); });
  const std::string answer = call.answer(FrameType::UseResult, status, error, json, number);
  forget(call);
  call.channel->sendPatiently(answer, kMostAnswers, limits_.stall);
}

mos_status NeededServices::run(Call &call, std::string &json, std::uint64_t &number, mos_error *error) {
  const bool gathers = call.gathers();
  SinkOf sink([&](std::string_view item) { return gathers ? keepItem(call, item) : giveItem(call, item); });
  Buffer out;
  Answers answers;
  answers.sink = sink.abi();
  answers.out = out.out();
  answers.number = &number;
  answers.error = error;
  Pending *pending = nullptr;
  if (call.completes() && !call.numbers.empty()) {
    pending = expect(call);
    answers.done = {pending, &NeededServices::completed};
  }
  const mos_status status = guarded(error, [&] { return invoke(call, answers); });
  if (pending != nullptr && status != MOS_OK) take(pending); // it is not called then
  sink.rethrow();
  if (status != MOS_OK) return status;
  if (call.tooMany) throw Error(Status::ResourceExhausted, "the service gives more at once than isolation carries");
  for (const std::string &item : call.items) {
    if (!giveItem(call, item)) break;
  }
  json = out.str();
  return MOS_OK;
}

mos_status NeededServices::invoke(const Call &call, const Answers &answers) {
  if (call.description == nullptr) return hostCalls_.run(call, answers);
  const common::ServiceFunction &function = call.called();
  const FrameArguments arguments(function, call.texts, call.numbers, call.context(), answers);
  const std::size_t number = call.function - std::size_t{kFirstOfService};
  void *self = common::selfOf(call.table);
  if (function.invoke == nullptr) { // described elsewhere: the host's table has nothing but its forwarder
    auto *forwarder = static_cast<mos_forwarder_v1 *>(self);
    return forwarder->call(forwarder, static_cast<std::uint32_t>(number), arguments.args());
  }
  const mos_any_function present = common::functionOf(call.table, number);
  if (present == nullptr) return fail(answers.error, Status::Unimplemented, "the service has no " + function.call);
  return function.invoke(present, self, arguments.args());
}

bool NeededServices::giveItem(Call &call, std::string_view item) const {
  if (call.admit(item, limits_.stall) != ServedCall::Admission::Wanted) return false;
  ItemFrame frame;
  frame.id = call.id;
  frame.item = item;
  return call.channel->sendPatiently(encode(frame, FrameType::UseItem), kMostAnswers, limits_.stall);
}

/// For a function that must not wait for who takes its items.
bool NeededServices::keepItem(Call &call, std::string_view item) const {
  call.itemBytes += itemCost(item);
  call.tooMany = call.itemBytes > limits_.listBytes;
  if (!call.tooMany) call.items.emplace_back(item);
  return !call.tooMany;
}

NeededServices::Pending *NeededServices::expect(const Call &call) {
  auto made = std::make_unique<Pending>(Pending{*this, call.channel, static_cast<std::uint64_t>(call.numbers.back())});
  Pending *pending = made.get();
  const std::lock_guard lock(mutex_);
  pending_.emplace(pending, std::move(made));
  return pending;
}

std::unique_ptr<NeededServices::Pending> NeededServices::take(const Pending *pending) {
  const std::lock_guard lock(mutex_);
  const auto at = pending_.find(pending);
  if (at == pending_.end()) return nullptr;
  auto taken = std::move(at->second);
  pending_.erase(at);
  return taken;
}

void NeededServices::completed(void *ctx, mos_status status, mos_str json, const mos_error *error) {
  guarded(nullptr, [&] {
    const auto pending = static_cast<Pending *>(ctx)->owner.take(static_cast<Pending *>(ctx));
    mos_error given{};
    if (error != nullptr) given = *error;
    pending->channel->send(encodeResult(FrameType::UseDone, pending->number, status, given, fromAbi(json)));
  });
}

} // namespace matrixos::isolation
