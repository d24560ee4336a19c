#include "isolation/ServedCall.h"

#include <matrixos/call.hpp>
#include <matrixos/status.hpp>

#include <algorithm>

namespace matrixos::isolation {

namespace {

mos_call contextOf(const CallFrame &frame) {
  mos_call call{};
  call.struct_size = sizeof call;
  call.cancel_fd = -1;
  call.deadline_ns = frame.deadlineNs;
  call.operation_id = toAbi(frame.operationId);
  call.trace_id = toAbi(frame.traceId);
  return call;
}

std::string tooLong(const char *what, std::size_t size, std::size_t most) {
  return std::string("the plugin gave ") + what + " of " + std::to_string(size) +
         " bytes, and isolation carries at most " + std::to_string(most);
}

} // namespace

ServedCall::ServedCall(const CallFrame &frame)
    : id(frame.id), function(frame.function), slot(frame.slot), texts(frame.texts.begin(), frame.texts.end()),
      numbers(frame.numbers), context_(contextOf(frame)) {}

void ServedCall::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  context_.cancel();
}

void ServedCall::allow(std::uint32_t cost) {
  const std::lock_guard lock(mutex_);
  credit_ += std::min(cost, kStreamWindow - credit_);
  changed_.notify_all();
}

bool ServedCall::mustWait(std::string_view item) const {
  const std::lock_guard lock(mutex_);
  return credit_ < itemCost(item) && credit_ != kStreamWindow;
}

ServedCall::Admission ServedCall::admit(std::string_view item, std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  if (stopped_) return Admission::Unwanted;
  if (item.size() > kMaxItem) {
    stopped_ = true;
    failure_ = tooLong("an item", item.size(), kMaxItem);
    return Admission::TooLarge;
  }
  const std::uint32_t cost = itemCost(item);
  // One that is larger than the window travels alone.
  const auto fits = [&] { return stopped_ || credit_ >= cost || credit_ == kStreamWindow; };
  if (patience == std::chrono::milliseconds::max()) {
    changed_.wait(lock, fits);
  } else if (!changed_.wait_for(lock, patience, fits)) {
    stopped_ = true;
    failure_ = "the caller took no item of the stream for " + std::to_string(patience.count()) + " ms";
    return Admission::Stalled;
  }
  if (stopped_) return Admission::Unwanted;
  credit_ -= std::min(credit_, cost);
  return Admission::Wanted;
}

std::string ServedCall::answer(FrameType type, mos_status status, mos_error &error, const std::string &json,
                               std::uint64_t number) const {
  {
    const std::lock_guard lock(mutex_);
    if (!failure_.empty()) status = fail(&error, Status::ResourceExhausted, failure_);
  }
  return encodeResult(type, id, status, error, json, number);
}

std::string encodeResult(FrameType type, std::uint64_t id, mos_status status, mos_error &error, std::string_view json,
                         std::uint64_t number) {
  if (json.size() > kMaxText) {
    status = fail(&error, Status::ResourceExhausted, tooLong("an answer", json.size(), kMaxText));
  }
  ResultFrame result;
  result.id = id;
  result.failure = FrameError::of(status, error);
  if (status == MOS_OK) {
    result.json = json;
    result.number = static_cast<std::int64_t>(number);
  }
  return encode(result, type);
}

} // namespace matrixos::isolation
