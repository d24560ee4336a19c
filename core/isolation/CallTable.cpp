#include "isolation/CallTable.h"

#include "common/SystemError.h"

#include <matrixos/call.hpp>
#include <matrixos/file_descriptor.hpp>
#include <matrixos/status.hpp>

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

namespace matrixos::isolation {

namespace {

/// A stream whose sink has had enough may still be inside the plugin for a moment; nobody waits for its answer.
constexpr std::chrono::milliseconds kStopGrace{2000};
/// How often a context that has no descriptor is asked whether it was cancelled.
constexpr std::int64_t kCancelPollNs = 20'000'000;

/// One per thread that calls; a thread waits for one thing at a time.
int waitFd() {
  thread_local FileDescriptor fd;
  if (!fd) fd.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) common::throwErrno(errno, "making an eventfd to wait for a plugin's process");
  return fd.get();
}

bool isCancelled(const mos_call *context) {
  return context != nullptr && context->cancelled != nullptr && context->cancelled(context) != 0;
}

} // namespace

struct CallTable::Call {
  enum class State { Held, Sent, Done };

  std::uint64_t id = 0;
  CallRequest what;
  CallFrame frame;
  int wake = -1;

  // Of the calling thread.
  bool stopped = false;                                  ///< the sink has had enough
  Status ending = Status::Ok;                            ///< why the caller stops waiting; Ok while it does not
  Clock::time_point patience = Clock::time_point::max(); ///< for the answer after that

  // Under the table's mutex.
  State state = State::Held;
  Clock::time_point heldSince = Clock::now();
  bool unwanted = false;  ///< cancelled or stopped: not made again
  bool delivered = false; ///< its caller has seen an item
  int deaths = 0;
  std::deque<std::string> items;
  std::uint32_t outstanding = 0; ///< cost of the items that came and were not allowed anew
  std::uint32_t taken = 0;       ///< of that, what the caller has had
  mos_status status = MOS_OK;
  mos_error error{};
  std::int64_t number = 0;
  std::string json;

  /// The caller waits for a last answer only.
  bool leaving() const { return stopped || ending != Status::Ok; }
  bool endless() const { return frame.deadlineNs == MOS_NO_DEADLINE; }
  std::int64_t leftNs() const { return endless() ? INT64_MAX : frame.deadlineNs - monotonicNanos(); }
};

mos_status CallTable::run(const CallRequest &request, const mos_call *context, mos_error *error) noexcept {
  return guarded(error, [&] { return runCall(request, context, error); });
}

mos_status CallTable::runCall(const CallRequest &request, const mos_call *context, mos_error *error) {
  auto call = std::make_shared<Call>();
  call->id = ++lastId_;
  call->what = request;
  call->wake = waitFd();
  CallFrame &frame = call->frame;
  frame.id = call->id;
  frame.function = request.function.number;
  frame.slot = request.slot;
  frame.deadlineNs = context != nullptr ? context->deadline_ns : MOS_NO_DEADLINE;
  if (context != nullptr) {
    frame.operationId = fromAbi(context->operation_id);
    frame.traceId = fromAbi(context->trace_id);
  }
  frame.texts = request.texts;
  frame.numbers = request.numbers;
  const std::string bytes = encode(frame, direction_.call); // refuses what is too long

  std::shared_ptr<FrameChannel> channel;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return matrixos::fail(error, Status::Unavailable, why_, "PLUGIN_PROCESS");
    const bool lifecycle = request.function.number < kFirstOfService;
    if (calls_.size() >= limits_.calls && !lifecycle) {
      return matrixos::fail(error, Status::ResourceExhausted,
                            direction_.callee + (" has " + std::to_string(calls_.size())) +
                                " calls inside, which is the most it is given; try again",
                            "PLUGIN_BUSY", 100);
    }
    calls_.emplace(call->id, call);
    channel = channel_;
    if (channel) call->state = Call::State::Sent;
  }
  // Whatever happens, the table forgets the call before its borrowed texts go.
  struct Forget {
    CallTable &table;
    const Call &call;
    ~Forget() {
      const std::lock_guard lock(table.mutex_);
      for (const std::string &item : call.items)
        table.queuedBytes_ -= itemCost(item);
      table.calls_.erase(call.id);
    }
  } const forget{*this, *call};
  if (channel) channel->send(bytes); // if it fails the process is done for, and the call waits for the next one
  return wait(*call, context, error);
}

mos_status CallTable::wait(Call &call, const mos_call *context, mos_error *error) {
  for (;;) {
    std::deque<std::string> items;
    bool done = false, held = false;
    int process = 0;
    Clock::time_point heldSince;
    {
      const std::lock_guard lock(mutex_);
      items.swap(call.items);
      for (const std::string &item : items)
        queuedBytes_ -= itemCost(item);
      call.delivered = call.delivered || !items.empty();
      done = call.state == Call::State::Done;
      held = call.state == Call::State::Held;
      heldSince = call.heldSince;
      process = call.deaths;
    }
    if (!items.empty()) {
      handOn(call, items, process);
      continue;
    }
    if (done) return finish(call, error);
    if (!call.leaving()) {
      if (isCancelled(context))
        stopWaiting(call, Status::Cancelled, held);
      else if (call.leftNs() <= 0)
        stopWaiting(call, Status::DeadlineExceeded, held);
      else if (held && call.endless() && Clock::now() - heldSince >= limits_.held)
        stopWaiting(call, Status::Unavailable, held);
    }
    if (Clock::now() >= call.patience) return giveUp(call, error);
    sleep(call, held, heldSince, context);
  }
}

void CallTable::stopWaiting(Call &call, Status why, bool held) {
  call.ending = why;
  call.patience = held ? Clock::now() : Clock::now() + limits_.grace;
  if (!held && (why != Status::DeadlineExceeded || !direction_.keepsDeadlines)) cancel(call, false);
}

void CallTable::sleep(Call &call, bool held, Clock::time_point heldSince, const mos_call *context) {
  const auto now = Clock::now();
  auto until = call.patience;
  if (held && !call.leaving() && call.endless()) until = std::min(until, heldSince + limits_.held);
  std::int64_t ns = until == Clock::time_point::max() ? INT64_MAX : (until - now).count();
  std::array<pollfd, 2> entries{pollfd{call.wake, POLLIN, 0}, pollfd{-1, POLLIN, 0}};
  if (!call.leaving()) {
    ns = std::min(ns, call.leftNs());
    if (context != nullptr) entries[1].fd = context->cancel_fd;
    if (context != nullptr && context->cancel_fd < 0 && context->cancelled != nullptr) ns = std::min(ns, kCancelPollNs);
  }
  const int ms = ns == INT64_MAX ? -1 : static_cast<int>(std::clamp<std::int64_t>(ns / 1'000'000 + 1, 0, 60'000));
  ::poll(entries.data(), entries.size(), ms);
  if (entries[0].revents != 0) {
    std::uint64_t ignored = 0;
    ::eventfd_read(call.wake, &ignored);
  }
  // Also when cancelled() does not say so: the descriptor stays readable, and this would spin.
  if (entries[1].revents != 0) stopWaiting(call, Status::Cancelled, held);
}

void CallTable::handOn(Call &call, const std::deque<std::string> &items, int process) {
  std::uint32_t taken = 0;
  for (const std::string &item : items) {
    taken += itemCost(item);
    if (call.stopped || call.what.sink == nullptr) continue;
    if (call.what.sink->item(call.what.sink->ctx, toAbi(item)) == MOS_SINK_CONTINUE) continue;
    call.stopped = true;
    call.patience = Clock::now() + kStopGrace;
    cancel(call, true);
  }
  std::shared_ptr<FrameChannel> channel;
  CreditFrame credit;
  credit.id = call.id;
  {
    const std::lock_guard lock(mutex_);
    // What came from a process that has died since is none of the next one's.
    if (call.deaths != process || call.state != Call::State::Sent) return;
    call.taken += taken;
    if (call.taken < kStreamWindow / 2) return;
    call.outstanding -= call.taken;
    credit.cost = std::exchange(call.taken, 0);
    channel = channel_;
  }
  if (channel) channel->send(encode(credit, direction_.credit));
}

void CallTable::cancel(Call &call, bool stopSink) {
  std::shared_ptr<FrameChannel> channel;
  {
    const std::lock_guard lock(mutex_);
    call.unwanted = true;
    if (call.state == Call::State::Sent) channel = channel_;
  }
  CancelFrame frame;
  frame.id = call.id;
  frame.stopSink = stopSink ? 1 : 0;
  if (channel) channel->send(encode(frame, direction_.cancel));
}

mos_status CallTable::giveUp(Call &call, mos_error *error) {
  bool tooMany = false;
  Call::State state;
  std::string why;
  {
    const std::lock_guard lock(mutex_);
    state = call.state;
    why = why_;
    if (state == Call::State::Sent) overdue_.emplace(call.id, call.what.function.name);
    tooMany = overdue_.size() >= limits_.overdue;
  }
  if (tooMany) nudge_();
  if (state == Call::State::Done) return finish(call, error); // at the last moment
  const std::string name = call.what.function.name;
  if (call.stopped && call.what.function.streams) return MOS_OK;
  if (call.stopped || call.ending == Status::Cancelled) {
    return matrixos::fail(error, Status::Cancelled, name + " was cancelled");
  }
  if (state == Call::State::Sent) {
    return matrixos::fail(error, Status::DeadlineExceeded,
                          std::string(direction_.callee) + " did not answer " + name + " within its deadline",
                          "PLUGIN_OVERDUE");
  }
  return matrixos::fail(error, Status::Unavailable,
                        name + " was not made" + (call.deaths > 0 ? " again" : "") +
                            ": the plugin's process does not run" + (why.empty() ? "" : ", since it " + why),
                        "PLUGIN_PROCESS", 1000);
}

mos_status CallTable::finish(Call &call, mos_error *error) {
  // After Done nobody else touches it.
  if (call.stopped && call.what.function.streams && call.status == MOS_CANCELLED) return MOS_OK;
  // It was told to stop because of its deadline, and may not have looked at the clock itself.
  if (call.ending == Status::DeadlineExceeded && call.status == MOS_CANCELLED) {
    return matrixos::fail(error, Status::DeadlineExceeded, std::string(call.what.function.name) + " ran out of time");
  }
  if (call.status == MOS_OK) {
    if (call.what.out != nullptr) giveBuffer(call.what.out, std::move(call.json));
    if (call.what.number != nullptr) *call.what.number = static_cast<std::uint64_t>(call.number);
  } else if (error != nullptr) {
    *error = call.error;
  }
  return call.status;
}

void CallTable::attach(std::shared_ptr<FrameChannel> channel) {
  const std::lock_guard lock(mutex_);
  channel_ = std::move(channel);
  for (auto &[id, call] : calls_) {
    if (call->state == Call::State::Held) send(*call, channel_);
  }
}

void CallTable::send(Call &call, const std::shared_ptr<FrameChannel> &channel) {
  call.state = Call::State::Sent;
  call.outstanding = 0;
  call.taken = 0;
  channel->send(encode(call.frame, direction_.call));
}

bool CallTable::mayRepeat(const Call &call) const {
  switch (call.what.function.repeat) {
  case Repeat::Never:
    return false;
  case Repeat::Always:
    return true;
  case Repeat::BeforeFirstItem:
    return !call.delivered;
  case Repeat::WithOperationId:
    return !call.frame.operationId.empty();
  }
  return false;
}

std::size_t CallTable::detach(const std::string &why) {
  const std::lock_guard lock(mutex_);
  channel_.reset();
  overdue_.clear();
  why_ = why;
  std::size_t repeats = 0;
  for (auto &[id, call] : calls_) {
    if (call->state != Call::State::Sent) continue;
    const std::string name = call->what.function.name;
    ++call->deaths;
    if (call->unwanted) {
      fail(*call, Status::Cancelled, name + " was cancelled");
    } else if (!mayRepeat(*call)) {
      fail(*call, Status::Unavailable,
           "the plugin's process " + why + " with " + name +
               " inside, which cannot be made again by itself; look at the state and repeat it if need be");
    } else if (call->deaths >= limits_.deaths) {
      fail(*call, Status::Unavailable,
           "the plugin's process " + why + ", the " + std::to_string(call->deaths) + "th with this " + name +
               " inside; it is not made again");
    } else {
      for (const std::string &item : call->items)
        queuedBytes_ -= itemCost(item);
      call->items.clear();
      call->state = Call::State::Held;
      call->heldSince = Clock::now();
      ++repeats;
    }
    ::eventfd_write(call->wake, 1);
  }
  return repeats;
}

void CallTable::fail(Call &call, Status status, const std::string &message) {
  call.state = Call::State::Done;
  call.status = matrixos::fail(&call.error, status, message, status == Status::Cancelled ? "" : "PLUGIN_PROCESS",
                               status == Status::Cancelled ? 0 : 1000);
}

void CallTable::end(const std::string &why) {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  channel_.reset();
  why_ = why;
  for (auto &[id, call] : calls_) {
    if (call->state == Call::State::Done) continue;
    fail(*call, Status::Unavailable, why);
    ::eventfd_write(call->wake, 1);
  }
}

void CallTable::result(const ResultFrame &frame) {
  const std::lock_guard lock(mutex_);
  if (frame.id > lastId_) refuseFrame("an answer to a call that was never made");
  overdue_.erase(frame.id);
  const auto at = calls_.find(frame.id);
  if (at == calls_.end() || at->second->state != Call::State::Sent) return;
  Call &call = *at->second;
  call.status = frame.failure.give(&call.error);
  call.number = frame.number;
  call.json = frame.json;
  call.state = Call::State::Done;
  ::eventfd_write(call.wake, 1);
}

void CallTable::item(const ItemFrame &frame) {
  const std::lock_guard lock(mutex_);
  if (frame.id > lastId_) refuseFrame("an item of a call that was never made");
  const auto at = calls_.find(frame.id);
  if (at == calls_.end() || at->second->state != Call::State::Sent) return;
  Call &call = *at->second;
  const std::uint32_t cost = itemCost(frame.item);
  if (call.outstanding > 0 && call.outstanding + cost > kStreamWindow) refuseFrame("more items than were allowed");
  call.outstanding += cost;
  queuedBytes_ += cost;
  if (queuedBytes_ > limits_.queuedBytes) refuseFrame("more items than callers take");
  const bool first = call.items.empty(); // else it has been woken and will take them all
  call.items.emplace_back(frame.item);
  if (first) ::eventfd_write(call.wake, 1);
}

bool CallTable::hung() const {
  const std::lock_guard lock(mutex_);
  return overdue_.size() >= limits_.overdue;
}

namespace {

std::string listed(const std::set<std::string> &names) {
  std::string text;
  for (const std::string &name : names)
    text += (text.empty() ? "" : ", ") + name;
  return text;
}

} // namespace

std::string CallTable::inside() const {
  const std::lock_guard lock(mutex_);
  std::set<std::string> names;
  for (const auto &[id, call] : calls_) {
    // Of streams that wait for something to happen there is always one.
    const bool waits = call->what.function.streams && !call->what.function.lists;
    if (call->state == Call::State::Sent && !waits) names.insert(call->what.function.name);
  }
  return listed(names);
}

std::string CallTable::givenUp() const {
  const std::lock_guard lock(mutex_);
  std::set<std::string> names;
  for (const auto &[id, name] : overdue_)
    names.insert(name);
  return listed(names);
}

} // namespace matrixos::isolation
