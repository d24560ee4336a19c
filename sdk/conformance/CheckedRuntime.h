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
#include <vector>

namespace matrixos::conformance {

using Json = nlohmann::json;

/// Ends calls that carry it, from any thread.
class Cancel {
public:
  Cancel();
  ~Cancel();
  Cancel(const Cancel &) = delete;
  Cancel &operator=(const Cancel &) = delete;

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

/// What every call has to keep, whatever it does; each is judged by a case of its own.
enum class Duty { Status, Message, Reason, Buffer, Document, Sink };

/// A runtime whose every call is recorded and checked for its duties. Thread-safe.
class CheckedRuntime {
public:
  /// With `anyThread` sinks may be called on another thread than the call's, though on one alone.
  explicit CheckedRuntime(const mos_runtime_v1 *table, bool anyThread = false) : table_(table), anyThread_(anyThread) {}

  Answer capabilities(const How &how = {});
  Answer pull(const std::string &request, const ItemFn &progress, const How &how = {});
  Answer create(const std::string &spec, const How &how = {});
  Answer start(const std::string &ref, const How &how = {});
  Answer stop(const std::string &ref, std::chrono::milliseconds grace, const How &how = {});
  Answer remove(const std::string &ref, std::uint32_t flags, const How &how = {});
  Answer inspect(const std::string &ref, const How &how = {});
  Answer list(const std::string &labels, const ItemFn &item, const How &how = {});
  Answer logs(const std::string &ref, const std::string &options, const ItemFn &line, const How &how = {});
  Answer stats(const std::string &ref, const How &how = {});
  Answer pause(const std::string &ref, const How &how = {});
  Answer unpause(const std::string &ref, const How &how = {});
  Answer events(const std::string &labels, const ItemFn &item, const How &how = {});
  Answer volumeEnsure(const std::string &request, const How &how = {});
  Answer volumeTrash(const std::string &volume, const std::string &as, const How &how = {});
  Answer volumeSnapshot(const std::string &volume, const std::string &as, const How &how = {});
  Answer endpoints(const std::string &ref, const How &how = {});
  Answer startDescribed(const std::string &ref, const How &how = {});
  Answer volumeRemoveIfEmpty(const std::string &volume, const How &how = {});

  /// Forgets the calls recorded so far; what was broken stays known.
  void beginCase();
  std::vector<std::string> calls() const;
  /// How the duty was broken, one line each, over all cases.
  std::vector<std::string> broken(Duty duty) const;
  const mos_runtime_v1 *table() const noexcept { return table_; }

private:
  struct Stream;
  using Invoke = std::function<mos_status(const mos_call *, mos_buf *, mos_error *)>;

  Answer perform(const std::string &what, const How &how, bool hasOut, const Invoke &invoke);
  /// Adds what the stream brought.
  Answer finish(const std::string &what, Stream &stream, Answer answer);
  /// Calls `function` with `args` and, where it takes them, a sink for `item` and a buffer.
  template <typename... Params, typename... Args>
  Answer make(const char *name, const std::string &shownArgs, const How &how, const ItemFn &item,
              mos_status (*function)(void *, const mos_call *, Params...), Args... args);
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

/// Cut, with control characters shown, for one line of a report.
std::string shown(std::string_view text, std::size_t limit = 120);
/// "NOT_FOUND", or the number.
std::string nameOf(mos_status status);

} // namespace matrixos::conformance
