#include "plugin/BlockWatch.h"

#include "plugin/PluginFaults.h"

#include <matrixos/status.hpp>

#include <atomic>
#include <ctime>
#include <mutex>
#include <string>
#include <vector>

namespace matrixos::plugin {

namespace {

/// Nothing that does not wait takes so long, also on a machine that is busy.
constexpr std::int64_t kBlocksNs = 500'000'000;
/// What does not return is told again.
constexpr std::int64_t kAgainNs = 300'000'000'000;

std::atomic<bool> anyBlocked{false};

/// The monotonic clock as the kernel's last tick left it, a few milliseconds ago: costs a tenth of the exact one.
std::int64_t coarseNanos() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

} // namespace

/// The innermost call of one thread. The thread alone writes it; others read it, and look again whether it is the same.
class BlockWatch::Seat {
public:
  /// That of the current thread; null while it ends.
  static Seat *mine() noexcept {
    if (mine_ == nullptr && !ends_) take();
    return mine_;
  }

  Call get() const noexcept {
    return {plugin_.load(std::memory_order_acquire), what_.load(std::memory_order_acquire),
            function_.load(std::memory_order_acquire), beganNs_.load(std::memory_order_acquire)};
  }
  // A reader that sees one of the new values sees a version that is not the one it began with, too.
  void put(const Call &call) noexcept {
    const std::uint32_t version = version_.load(std::memory_order_relaxed);
    version_.store(version + 1, std::memory_order_relaxed);
    plugin_.store(call.plugin, std::memory_order_release);
    what_.store(call.what, std::memory_order_release);
    function_.store(call.function, std::memory_order_release);
    beganNs_.store(call.beganNs, std::memory_order_release);
    version_.store(version + 2, std::memory_order_release);
  }
  /// Whether the call has been reported before it returned.
  bool isReported(const Call &call) const noexcept { return reported_.load() == call.beganNs; }

  static void lookAt(std::int64_t nowNs) {
    std::vector<Call> late;
    {
      const std::lock_guard lock(all().mutex);
      for (Seat *seat : all().seats) {
        Call call;
        if (seat->read(call) && seat->isLate(call, nowNs)) late.push_back(call);
      }
    }
    for (const Call &call : late)
      report(call, nowNs, true);
  }

private:
  /// Seats are used again, and never freed.
  struct All {
    std::mutex mutex;
    std::vector<Seat *> seats, free;
  };
  static All &all() {
    static auto *all = new All;
    return *all;
  }

  static void take() noexcept {
    struct Return {
      ~Return() {
        const std::lock_guard lock(all().mutex);
        all().free.push_back(mine_); // there is room
        mine_ = nullptr;
        ends_ = true;
      }
    };
    guarded(nullptr, [&] {
      const std::lock_guard lock(all().mutex);
      if (all().free.empty()) {
        all().free.reserve(all().seats.size() + 1);
        all().seats.push_back(new Seat);
        mine_ = all().seats.back();
      } else {
        mine_ = all().free.back();
        all().free.pop_back();
      }
    });
    if (mine_ == nullptr) return;
    thread_local const Return atEnd;
    static_cast<void>(atEnd);
  }

  static constinit thread_local Seat *mine_;
  static constinit thread_local bool ends_;

  bool read(Call &out) const noexcept {
    const std::uint32_t version = version_.load(std::memory_order_acquire);
    out = get();
    return (version & 1U) == 0 && version == version_.load(std::memory_order_relaxed) && out.plugin != nullptr;
  }
  bool isLate(const Call &call, std::int64_t nowNs) noexcept {
    if (nowNs - call.beganNs < kBlocksNs) return false;
    if (isReported(call) && nowNs - reportedNs_ < kAgainNs) return false;
    reported_ = call.beganNs;
    reportedNs_ = nowNs;
    return true;
  }

  std::atomic<std::uint32_t> version_{0}; ///< odd while it is written
  std::atomic<const PluginTag *> plugin_{nullptr};
  std::atomic<const char *> what_{nullptr};
  std::atomic<const char *> function_{nullptr};
  std::atomic<std::int64_t> beganNs_{0};
  std::atomic<std::int64_t> reported_{0}; ///< beganNs of the call that was reported last
  std::int64_t reportedNs_ = 0;           ///< under the mutex
};

constinit thread_local BlockWatch::Seat *BlockWatch::Seat::mine_ = nullptr;
constinit thread_local bool BlockWatch::Seat::ends_ = false;

BlockWatch::BlockWatch(const PluginTag *plugin, const char *what, const char *function) noexcept
    : call_{plugin, what, function, coarseNanos()}, seat_(Seat::mine()) {
  if (seat_ == nullptr) return;
  before_ = seat_->get();
  seat_->put(call_);
}

BlockWatch::~BlockWatch() {
  const std::int64_t now = coarseNanos();
  const bool reported = seat_ != nullptr && seat_->isReported(call_);
  if (seat_ != nullptr) seat_->put(before_);
  if (call_.plugin != nullptr && now - call_.beganNs >= kBlocksNs && !reported) report(call_, now, false);
}

void BlockWatch::look() {
  Seat::lookAt(coarseNanos());
}

void BlockWatch::report(const Call &call, std::int64_t nowNs, bool goesOn) noexcept {
  anyBlocked = true;
  guarded(nullptr, [&] {
    const std::string ms = std::to_string((nowNs - call.beganNs) / 1'000'000) + " ms";
    PluginFaults::instance().report(call.plugin->id, PluginFault::Blocked,
                                    std::string("its ") + call.what + call.function + " blocks, and must not",
                                    ": " + (goesOn ? "it has not returned for " + ms : "it took " + ms) +
                                        ", while others wait for the thread");
  });
}

bool BlockWatch::hasBlocked(const PluginTag *plugin) {
  return anyBlocked.load(std::memory_order_relaxed) && plugin != nullptr &&
         PluginFaults::instance().count(plugin->id, PluginFault::Blocked) != 0;
}

} // namespace matrixos::plugin
