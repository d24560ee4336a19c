#pragma once

#include <matrixos/abi/runtime.h>
#include <matrixos/call.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <vector>

namespace matrixos::conformance {

using Json = nlohmann::json;

/// Ends calls that carry it, from any thread.
class Cancel {
public:
  Cancel();
  ~Cancel();

  void trigger() noexcept;
  bool triggered() const noexcept { return flag_.load(std::memory_order_acquire); }
  int fd() const noexcept { return fd_; }

private:
  std::atomic<bool> flag_{false};
  int fd_;
};

/// How a call is made.
struct How {
  std::string operationId{};
  std::chrono::milliseconds timeout{30'000}; ///< negative: the deadline has passed already
  std::shared_ptr<Cancel> cancel{};
  bool withFd = true;     ///< whether the context carries a cancel_fd, or cancelled() alone
  bool notUtf8 = false;   ///< the argument is no UTF-8, against the contract: a message may quote it as it is
  bool nullError = false; ///< whether the error pointer is NULL
};

/// Receives an item of a stream; false stops it.
using ItemFn = std::function<bool(const std::string &)>;

/// What a call gave.
struct Answer {
  mos_status status = MOS_OK;
  std::string reason;
  std::string message;
  std::string out;         ///< bytes of the owned buffer
  Json json;               ///< `out` parsed; discarded when it is no JSON
  std::vector<Json> items; ///< of a stream
  bool itemAfterStop = false;
  bool itemOnOtherThread = false;
  std::chrono::milliseconds took{0};

  bool ok() const noexcept { return status == MOS_OK; }
  /// "NOT_FOUND / CONTAINER_NOT_FOUND: the engine has no …", or "OK".
  std::string text() const;
};

/// Cut, with control characters shown, for one line of a report.
std::string shown(std::string_view text, std::size_t limit = 120);
/// The same in quotes.
std::string inQuotes(std::string_view text);

/// What every call has to keep, whatever it does; each is judged by a case of its own.
enum class Duty { Status, Message, Reason, Buffer, Document, Sink };

/// A runtime whose every call is recorded and checked for its duties. Thread-safe.
class CheckedRuntime {
public:
  /// With `anyThread` sinks may be called on another thread than the call's, though on one alone.
  explicit CheckedRuntime(const mos_runtime_v1 *table, bool anyThread = false) : table_(table), anyThread_(anyThread) {}

  Answer capabilities(const How &how = {}) { return make("capabilities", "", how, {}, table_->capabilities); }
  Answer pull(const std::string &request, const ItemFn &progress, const How &how = {}) {
    return make("pull", shown(request), how, progress, table_->pull, toAbi(request));
  }
  Answer create(const std::string &spec, const How &how = {}) {
    return make("create", inQuotes(spec), how, {}, table_->create, toAbi(spec));
  }
  Answer start(const std::string &ref, const How &how = {}) {
    return make("start", inQuotes(ref), how, {}, table_->start, toAbi(ref));
  }
  Answer stop(const std::string &ref, std::chrono::milliseconds grace, const How &how = {}) {
    return make("stop", inQuotes(ref) + ", " + std::to_string(grace.count()) + " ms", how, {}, table_->stop, toAbi(ref),
                grace.count());
  }
  Answer remove(const std::string &ref, std::uint32_t flags, const How &how = {}) {
    return make("remove", inQuotes(ref) + ", flags " + std::to_string(flags), how, {}, table_->remove, toAbi(ref),
                flags);
  }
  Answer inspect(const std::string &ref, const How &how = {}) {
    return make("inspect", inQuotes(ref), how, {}, table_->inspect, toAbi(ref));
  }
  Answer list(const std::string &labels, const ItemFn &item, const How &how = {}) {
    return make("list", shown(labels), how, item, table_->list, toAbi(labels));
  }
  Answer logs(const std::string &ref, const std::string &options, const ItemFn &line, const How &how = {}) {
    return make("logs", inQuotes(ref) + ", " + options, how, line, table_->logs, toAbi(ref), toAbi(options));
  }
  Answer stats(const std::string &ref, const How &how = {}) {
    return make("stats", inQuotes(ref), how, {}, table_->stats, toAbi(ref));
  }
  Answer pause(const std::string &ref, const How &how = {}) {
    return make("pause", inQuotes(ref), how, {}, table_->pause, toAbi(ref));
  }
  Answer unpause(const std::string &ref, const How &how = {}) {
    return make("unpause", inQuotes(ref), how, {}, table_->unpause, toAbi(ref));
  }
  Answer events(const std::string &labels, const ItemFn &item, const How &how = {}) {
    return make("events", shown(labels), how, item, table_->events, toAbi(labels));
  }
  Answer volumeEnsure(const std::string &request, const How &how = {}) {
    return make("volume_ensure", inQuotes(request), how, {}, table_->volume_ensure, toAbi(request));
  }
  Answer volumeTrash(const std::string &volume, const std::string &as, const How &how = {}) {
    return make("volume_trash", inQuotes(volume) + ", as " + inQuotes(as), how, {}, table_->volume_trash, toAbi(volume),
                toAbi(as));
  }
  Answer volumeSnapshot(const std::string &volume, const std::string &as, const How &how = {}) {
    return make("volume_snapshot", inQuotes(volume) + ", as " + inQuotes(as), how, {}, table_->volume_snapshot,
                toAbi(volume), toAbi(as));
  }
  Answer endpoints(const std::string &ref, const How &how = {}) {
    return make("endpoints", inQuotes(ref), how, {}, table_->endpoints, toAbi(ref));
  }
  Answer startDescribed(const std::string &ref, const How &how = {}) {
    const bool has = MOS_HAS(table_, mos_runtime_v1, start_described);
    return make("start_described", inQuotes(ref), how, {}, has ? table_->start_described : nullptr, toAbi(ref));
  }
  Answer volumeRemoveIfEmpty(const std::string &volume, const How &how = {}) {
    const bool has = MOS_HAS(table_, mos_runtime_v1, volume_remove_if_empty);
    return make("volume_remove_if_empty", inQuotes(volume), how, {}, has ? table_->volume_remove_if_empty : nullptr,
                toAbi(volume));
  }

  /// Forgets the calls recorded so far; what was broken stays known.
  void beginCase();
  std::vector<std::string> calls() const;
  /// How the duty was broken, one line each, over all cases.
  std::vector<std::string> broken(Duty duty) const;
  const mos_runtime_v1 *table() const noexcept { return table_; }

  /// Told of every call that this process makes, on its thread, before it is made and when it has returned. To be set
  /// before the first. May be empty.
  using Witness = std::function<void(const std::string &call, bool returned)>;
  static Witness &witness();

private:
  /// What stands behind a mos_sink.
  struct Stream {
    const ItemFn &item;
    Answer result{};
    std::thread::id thread{}; ///< that has to call; the first one that does, when none is known
    bool stopped = false;
    std::vector<std::string> notJson{};

    static std::int32_t receive(void *ctx, mos_str text) {
      auto *self = static_cast<Stream *>(ctx);
      if (self->thread == std::thread::id{}) self->thread = std::this_thread::get_id();
      // A second thread may be at work here against the rules: it must not corrupt what the first one notes.
      if (std::this_thread::get_id() != self->thread) {
        self->result.itemOnOtherThread = true;
        return MOS_SINK_STOP;
      }
      if (self->stopped) {
        self->result.itemAfterStop = true;
        return MOS_SINK_STOP;
      }
      const std::string line(fromAbi(text));
      Json parsed = Json::parse(line, nullptr, false);
      if (parsed.is_discarded()) self->notJson.push_back(line);
      self->result.items.push_back(std::move(parsed));
      if (self->item && !self->item(line)) self->stopped = true;
      return self->stopped ? MOS_SINK_STOP : MOS_SINK_CONTINUE;
    }
  };

  using Invoke = std::function<mos_status(const mos_call *, mos_buf *, mos_error *)>;

  Answer perform(const std::string &what, const How &how, bool hasOut, const Invoke &invoke);
  /// Adds what the stream brought.
  Answer finish(const std::string &what, Stream &stream, Answer answer);
  /// Calls `function` with `args` and, where it takes them, a sink for `item` and a buffer.
  template <typename... Params, typename... Args>
  Answer make(const char *name, const std::string &shownArgs, const How &how, const ItemFn &item,
              mos_status (*function)(void *, const mos_call *, Params...), Args... args) {
    constexpr bool kHasOut = (std::is_same_v<Params, mos_buf *> || ...);
    constexpr bool kHasSink = (std::is_same_v<Params, mos_sink> || ...);
    const std::string what = name + ("(" + shownArgs + ")");
    Stream stream{item};
    if (!anyThread_) stream.thread = std::this_thread::get_id();
    [[maybe_unused]] const mos_sink sink{&stream, &Stream::receive};
    Answer answer = perform(what, how, kHasOut, [&](const mos_call *call, [[maybe_unused]] mos_buf *out, mos_error *e) {
      if (function == nullptr)
        return fail(e, Status::Unimplemented, std::string("the table has NULL for ") + name, "NULL_FUNCTION");
      if constexpr (kHasSink && kHasOut)
        return function(table_->self, call, args..., sink, out, e);
      else if constexpr (kHasSink)
        return function(table_->self, call, args..., sink, e);
      else if constexpr (kHasOut)
        return function(table_->self, call, args..., out, e);
      else
        return function(table_->self, call, args..., e);
    });
    return kHasSink ? finish(what, stream, std::move(answer)) : answer;
  }
  void checkFailure(const std::string &what, const How &how, Answer &answer, const mos_error &error,
                    const mos_buf &out);
  void checkSuccess(const std::string &what, Answer &answer, mos_buf &out, bool hasOut);
  void note(const std::string &line);
  void blame(Duty duty, const std::string &line);

  const mos_runtime_v1 *table_;
  const bool anyThread_;
  mutable std::mutex mutex_;
  std::vector<std::string> calls_;
  std::size_t dropped_ = 0;
  std::vector<std::pair<Duty, std::string>> broken_;
};

/// "NOT_FOUND", or the number.
std::string nameOf(mos_status status);

} // namespace matrixos::conformance
