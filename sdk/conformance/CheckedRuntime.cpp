#include "CheckedRuntime.h"

#include <matrixos/text/hex.hpp>
#include <matrixos/text/utf8.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <thread>

namespace matrixos::conformance {

namespace {

constexpr std::size_t kMaxRecorded = 24;

/// The ABI's context for one call.
class Context {
public:
  explicit Context(const How &how) : how_(how), cancel_(how.cancel ? how.cancel : std::make_shared<Cancel>()) {
    call_.struct_size = sizeof call_;
    call_.cancel_fd = how_.withFd ? cancel_->fd() : -1;
    call_.deadline_ns = monotonicNanos() + how_.timeout.count() * 1'000'000;
    call_.operation_id = toAbi(how_.operationId);
    call_.trace_id = toAbi("conformance");
    call_.ctx = cancel_.get();
    call_.cancelled = [](const mos_call *call) -> std::int32_t {
      return static_cast<const Cancel *>(call->ctx)->triggered() ? 1 : 0;
    };
  }
  const mos_call *abi() const noexcept { return &call_; }

private:
  const How how_;
  const std::shared_ptr<Cancel> cancel_;
  mos_call call_{};
};

bool isWord(const char *text, std::size_t length) {
  return std::all_of(text, text + length,
                     [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; });
}

} // namespace

std::string inQuotes(std::string_view text) {
  return "\"" + shown(text, 60) + "\"";
}

Cancel::Cancel() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
Cancel::~Cancel() {
  if (fd_ >= 0) ::close(fd_);
}
void Cancel::trigger() noexcept {
  if (flag_.exchange(true, std::memory_order_acq_rel) || fd_ < 0) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
}

std::string nameOf(mos_status status) {
  if (status < MOS_OK || status > MOS_UNAUTHENTICATED) return "status " + std::to_string(status);
  return statusName(static_cast<Status>(status));
}

std::string shown(std::string_view text, std::size_t limit) {
  std::string out;
  for (const char c : text.substr(0, limit)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7F) {
      out += c;
      continue;
    }
    out += "\\x";
    appendHex(out, byte, 2);
  }
  if (text.size() > limit) out += "… (" + std::to_string(text.size()) + " bytes)";
  return out;
}

std::string Answer::text() const {
  if (ok()) return out.empty() ? "OK" : "OK " + shown(out, 200);
  return nameOf(status) + (reason.empty() ? "" : " / " + reason) +
         (message.empty() ? " without a message" : ": " + message);
}

void CheckedRuntime::beginCase() {
  const std::lock_guard lock(mutex_);
  calls_.clear();
  dropped_ = 0;
}

std::vector<std::string> CheckedRuntime::calls() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> lines = calls_;
  if (dropped_ != 0) lines.insert(lines.begin(), "(" + std::to_string(dropped_) + " calls before)");
  return lines;
}

std::vector<std::string> CheckedRuntime::broken(Duty duty) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> lines;
  for (const auto &[which, line] : broken_) {
    if (which == duty) lines.push_back(line);
  }
  return lines;
}

void CheckedRuntime::note(const std::string &line) {
  const std::lock_guard lock(mutex_);
  calls_.push_back(line);
  if (calls_.size() <= kMaxRecorded) return;
  calls_.erase(calls_.begin());
  ++dropped_;
}

void CheckedRuntime::blame(Duty duty, const std::string &line) {
  const std::lock_guard lock(mutex_);
  if (broken_.size() < 1000) broken_.emplace_back(duty, line);
}

void CheckedRuntime::checkFailure(const std::string &what, const How &how, Answer &answer, const mos_error &error,
                                  const mos_buf &out) {
  const std::size_t reason = ::strnlen(error.reason, MOS_REASON_SIZE);
  const std::size_t message = ::strnlen(error.message, MOS_MESSAGE_SIZE);
  answer.reason.assign(error.reason, reason);
  answer.message.assign(error.message, message);
  const std::string came = what + " answered " + nameOf(answer.status);
  if (error.status != answer.status) blame(Duty::Status, came + ", but mos_error.status says " + nameOf(error.status));
  if (message == 0) blame(Duty::Message, came + " with an empty message");
  if (message == MOS_MESSAGE_SIZE || reason == MOS_REASON_SIZE)
    blame(Duty::Message, came + " with a text that is not NUL-terminated");
  if (!how.notUtf8 && !isUtf8(answer.message)) {
    blame(Duty::Message,
          came + " with a message that is not UTF-8 (cut within a character?): " + shown(answer.message));
  }
  if (!isWord(error.reason, reason)) blame(Duty::Reason, came + " with the reason " + inQuotes(answer.reason));
  if (error.retry_after_ms < 0) blame(Duty::Reason, came + " with a negative retry_after_ms");
  if (out.ptr != nullptr || out.len != 0 || out.owner != nullptr || out.release != nullptr)
    blame(Duty::Buffer, came + " and touched the out buffer");
}

void CheckedRuntime::checkSuccess(const std::string &what, Answer &answer, mos_buf &out, bool hasOut) {
  if (!hasOut) return;
  if (out.len != 0 && out.ptr == nullptr) {
    blame(Duty::Document, what + " answered OK with a buffer of " + std::to_string(out.len) + " bytes at NULL");
  } else if (out.len != 0) {
    answer.out.assign(out.ptr, static_cast<std::size_t>(out.len));
  }
  if (out.release != nullptr) out.release(&out);
  answer.json = Json::parse(answer.out, nullptr, false);
  if (answer.json.is_discarded())
    blame(Duty::Document, what + " answered OK with what is no JSON: " + inQuotes(answer.out));
}

CheckedRuntime::Witness &CheckedRuntime::witness() {
  static auto *witness = new Witness; // a call that hangs may outlive everything else
  return *witness;
}

Answer CheckedRuntime::perform(const std::string &what, const How &how, bool hasOut, const Invoke &invoke) {
  Answer answer;
  const Context context(how);
  mos_buf out{};
  mos_error error{};
  const auto began = std::chrono::steady_clock::now();
  if (witness()) witness()(what, false);
  answer.status = invoke(context.abi(), &out, how.nullError ? nullptr : &error);
  if (witness()) witness()(what, true);
  answer.took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
  if (answer.status < MOS_OK || answer.status > MOS_UNAUTHENTICATED)
    blame(Duty::Status, what + " answered " + std::to_string(answer.status) + ", which is no status");
  if (answer.ok())
    checkSuccess(what, answer, out, hasOut);
  else if (!how.nullError)
    checkFailure(what, how, answer, error, out);
  note(what + (how.operationId.empty() ? "" : " [operation " + how.operationId + "]") + " → " +
       shown(answer.text(), 200) + "  (" + std::to_string(answer.took.count()) + " ms)");
  return answer;
}

Answer CheckedRuntime::finish(const std::string &what, Stream &stream, Answer answer) {
  answer.items = std::move(stream.result.items);
  answer.itemAfterStop = stream.result.itemAfterStop;
  answer.itemOnOtherThread = stream.result.itemOnOtherThread;
  if (answer.itemAfterStop) blame(Duty::Sink, what + " sent an item after the sink had answered stop");
  if (answer.itemOnOtherThread) blame(Duty::Sink, what + " called the sink on another thread than the call's");
  for (const std::string &line : stream.notJson)
    blame(Duty::Document, what + " sent an item that is no JSON: " + inQuotes(line));
  note("    with " + std::to_string(answer.items.size()) + " items");
  return answer;
}

} // namespace matrixos::conformance
