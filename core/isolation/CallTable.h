#pragma once

#include "isolation/FrameChannel.h"
#include "isolation/Frames.h"
#include "isolation/Functions.h"

#include <matrixos/abi/base.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace matrixos::isolation {

/// One call as its caller makes it. Texts are borrowed for the call.
struct CallRequest {
  Function function;
  std::uint16_t slot = 0; ///< for a function of a service: which of the descriptor's provides
  std::vector<std::string_view> texts{};
  std::vector<std::int64_t> numbers{};
  const mos_sink *sink = nullptr;  ///< for streams
  mos_buf *out = nullptr;          ///< for those that give a text
  std::uint64_t *number = nullptr; ///< for those that give one
};

/// Who makes calls to whom.
struct CallDirection {
  FrameType call, cancel, credit;
  const char *callee;  ///< for messages
  bool keepsDeadlines; ///< it gives a call up by itself, and says so better
};
constexpr CallDirection kIntoPlugin{FrameType::Call, FrameType::Cancel, FrameType::Credit, "the plugin's process",
                                    false};
constexpr CallDirection kIntoDaemon{FrameType::Use, FrameType::UseCancel, FrameType::UseCredit, "the daemon", true};

/// The calls into a plugin's process, across its deaths, or out of it: what was in a process that died is made again in
/// the next one if it may be (Functions.h), and what comes meanwhile waits. Callers block in run(), each on its own
/// thread; the rest is for the one thread that looks after the process.
class CallTable {
public:
  struct Limits {
    std::size_t calls = 128;                ///< at a time; more are refused
    std::size_t queuedBytes = 32U << 20U;   ///< of items that callers have not taken
    int deaths = 4;                         ///< processes that may die under one call
    std::size_t overdue = 4;                ///< calls given up and not returned that make the process a hung one
    std::chrono::milliseconds grace{250};   ///< for the plugin's own answer after a deadline or a cancellation
    std::chrono::milliseconds held{30'000}; ///< waiting for a process, for a call without a deadline
  };

  /// `nudge`: called when the process should be looked at; any thread, at once.
  CallTable(Limits limits, std::function<void()> nudge, const CallDirection &direction = kIntoPlugin)
      : limits_(limits), nudge_(std::move(nudge)), direction_(direction) {}

  /// Makes the call and waits for its end: answer, deadline, cancellation. Never throws.
  mos_status run(const CallRequest &request, const mos_call *context, mos_error *error) noexcept;

  /// A process is ready: what waits is sent to it.
  void attach(std::shared_ptr<FrameChannel> channel);
  /// The process has gone, for the reason `why` ("its process died with SIGSEGV in start()"). Gives how many calls will
  /// be made again.
  std::size_t detach(const std::string &why);
  /// There will be no other process: everything ends MOS_UNAVAILABLE, from now on too.
  void end(const std::string &why);

  /// Throw Error("PROTOCOL") for a call that was never made, and for more items than were allowed.
  void result(const ResultFrame &frame);
  void item(const ItemFrame &frame);

  /// The process holds on to more calls than it may.
  bool hung() const;
  /// "list(), start()": the calls inside, or those given up.
  std::string inside() const;
  std::string givenUp() const;

private:
  struct Call;
  using Clock = std::chrono::steady_clock;

  mos_status runCall(const CallRequest &request, const mos_call *context, mos_error *error);
  mos_status wait(Call &call, const mos_call *context, mos_error *error);
  void sleep(Call &call, bool held, Clock::time_point heldSince, const mos_call *context);
  void stopWaiting(Call &call, Status why, bool held);
  void handOn(Call &call, const std::deque<std::string> &items, int process);
  void cancel(Call &call, bool stopSink);
  mos_status giveUp(Call &call, mos_error *error);
  mos_status finish(Call &call, mos_error *error);
  void send(Call &call, const std::shared_ptr<FrameChannel> &channel);
  static void fail(Call &call, Status status, const std::string &message);
  bool mayRepeat(const Call &call) const;

  const Limits limits_;
  const std::function<void()> nudge_;
  const CallDirection &direction_;
  std::atomic<std::uint64_t> lastId_{0};
  mutable std::mutex mutex_;
  std::shared_ptr<FrameChannel> channel_; ///< null while no process is ready
  std::map<std::uint64_t, std::shared_ptr<Call>> calls_;
  std::map<std::uint64_t, const char *> overdue_; ///< names of functions
  std::size_t queuedBytes_ = 0;
  std::string why_; ///< the process's last end
  bool ended_ = false;
};

} // namespace matrixos::isolation
