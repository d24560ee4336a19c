/// What calls cost: held before they go out, settled once it is known.
#pragma once

#include "../money/Money.h"
#include "../money/TokenCounts.h"
#include "Accounts.h"
#include "CallStore.h"
#include "LedgerMetrics.h"
#include "Limits.h"
#include "Record.h"
#include "SlotFile.h"

#include <matrixos/host.hpp>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

namespace matrixos::gateway {

/// One call, as it is written down.
struct CallFacts {
  std::string_view instanceId; ///< ULID, the ledger's key
  std::string_view handle;
  std::string_view model;   ///< as it was asked for
  std::string_view session; ///< a label of the caller's, may be empty; what is too long is cut
  bool worstCase = true;    ///< the hold is the most that it can cost
};

struct Settlement {
  Money cost;
  TokenCounts tokens;
  std::string_view model; ///< as it was billed
  bool partial = false;   ///< estimated: the upstream did not say all of it
};

/// Names a hold. Never given twice, not after a restart either.
enum class HoldId : std::uint64_t {};

/// How somebody stands.
struct Standing {
  std::string instanceId, handle;
  Spend spend;
  Limits limits;                               ///< in effect
  std::int64_t dayEndsMs = 0, monthEndsMs = 0; ///< wall clock
};

/// The one authority for money. All of it [any-thread]; nothing on a call's way waits for the database or for the
/// disk's own cache. What is done with one hold is done by one thread at a time.
///
/// A call belongs to the day of UTC in which it was reserved, also when it ends later. When the clock steps back the
/// totals of the day that it shows are read from the table again, within a moment; until then those stay that were
/// there.
class Ledger {
public:
  struct Settings {
    Limits perUser, global;
    std::chrono::milliseconds retention = std::chrono::hours{24 * 400}; ///< rows of the present month stay in any case
  };
  struct Surroundings {
    std::function<std::int64_t()> clock = wallClockMs;
    /// Told on a thread of the ledger's what operators have to know; empty: all is well again. Null: the plugin is
    /// degraded meanwhile.
    std::function<void(const std::string &why)> trouble{};
    std::uint32_t mostCalls = 65536; ///< in flight, or settled and without a row yet
  };

  /// `folder` is the plugin's own; it is made.
  Ledger(const mos_host_v1 *host, const std::filesystem::path &folder, Surroundings surroundings);
  Ledger(const mos_host_v1 *host, const std::filesystem::path &folder) : Ledger(host, folder, Surroundings{}) {}
  ~Ledger();
  Ledger(const Ledger &) = delete;
  Ledger &operator=(const Ledger &) = delete;

  /// Brings the tables up to date, charges what a process before this one left in flight, and begins. Throws Error.
  void start(const Settings &settings);
  /// Writes what is settled and ends. Further calls are refused; what is settled now gets its row at the next start.
  void end() noexcept;
  void configure(const Settings &settings);

  /// Against the user's day and month and everybody's, all or none; written down before it returns, so that a process
  /// that is killed then forgets nothing.
  std::variant<HoldId, Refused> reserve(const CallFacts &call, Money hold);
  /// For a call that costs nothing, and has no hold: why it may not go out all the same; nothing: it may.
  std::optional<Refused> closedTo(std::string_view instanceId);
  /// Makes a hold larger, if the limits allow that. One of a day that is over is taken anew, whole, in the present one.
  bool raise(HoldId id, Money hold) noexcept;
  /// Takes the hold back and books the cost; the row reaches the disk within 200 ms. Once for each hold. A cost above
  /// a hold that was the most that the call can cost is cut to it, and partial.
  void settle(HoldId id, const Settlement &settlement) noexcept;
  /// Takes it back; nothing was spent, and nothing is written down.
  void release(HoldId id) noexcept;

  Spend spendOf(std::string_view instanceId) const;
  Spend total() const;
  /// Of somebody who has never called, too.
  Standing standingOf(std::string_view instanceId) const;
  /// Of all who called this month or have limits of their own, by handle.
  std::vector<Standing> everybody() const;

  /// Changes what somebody's own limits are, where nothing stands for the default; durable on return. May block for the
  /// disk. Gives those in effect. Throws Error.
  Limits changeLimits(std::string_view instanceId, std::string_view handle,
                      const std::function<void(Limits &own)> &change);

  /// Waits until all that is settled has its row; false: it has not, at the moment or for so long.
  bool flush(std::chrono::milliseconds most = std::chrono::seconds{2});
  /// Compares the totals with the sums of the rows and of what is held, and puts right what differs: what it was, in
  /// one sentence; empty: nothing. May block for the disk. Throws Error.
  std::string check();

  struct Figures {
    std::uint64_t held = 0;                 ///< calls in flight
    std::uint64_t unwritten = 0;            ///< settled, without a row
    std::uint64_t recovered = 0;            ///< calls that a process before this one left without a settlement
    std::uint64_t capped = 0;               ///< settlements that were cut
    std::array<std::uint64_t, 5> refused{}; ///< by Refused::By
  };
  Figures figures() const;

  const CallStore &store() const noexcept { return store_; }
  /// The ledger's clock.
  std::int64_t nowMs() const { return around_.clock(); }

private:
  /// Where less than this part of the slots is free, more are made.
  static constexpr std::size_t kSpareShare = 4;
  enum class Stage : std::uint8_t { Free, Held, Ending, Settled };
  struct Call {
    Record record;
    Accounts::User *user = nullptr;
    Stage stage = Stage::Free;
    bool hasRow = false; ///< it is free, and its slot still has a call that has a row
  };

  // Under mutex_:
  void turn() const noexcept;
  Refused refuse(Refused::By by, std::string why = {});
  std::string slotlessness() const;
  Standing standing(std::string_view instanceId, const Accounts::User *user) const;

  void syncSoon() noexcept;
  void giveBack(std::uint32_t slot) noexcept;
  /// Adds slots unless so many are free; false: it cannot. Without the lock.
  bool grow(std::size_t enough) noexcept;
  /// From Held to Ending; null: it is not held.
  Call *claim(HoldId id, std::uint32_t &slot) noexcept;
  void noteSlotFailure(int code) noexcept;

  // Of start() and the thread, in LedgerWork.cpp:
  void recover();
  void takeOver(const SlotFile::Content &content);
  void work() noexcept;
  void waitForWork(std::unique_lock<std::mutex> &lock);
  void step(bool sync) noexcept;
  /// Gives rows to what was settled first; false: nothing is settled. Throws Error.
  bool commit();
  void rebuild();
  void lookAfter();
  void clearSlots();
  void tell();
  using Spent = std::vector<std::tuple<CallStore::Person, std::int64_t, Money>>;
  Spent spentIn(const Period &period) const;
  /// Makes the sums anew, of this and of the calls in memory. Under mutex_.
  void sumUp(const Spent &spent);

  const Log log_;
  const Platform platform_;
  const Surroundings around_;
  CallStore store_;
  LedgerMetrics metrics_;
  std::thread thread_;
  std::mutex changes_; ///< one change of limits at a time
  std::mutex grows_;   ///< one growth at a time
  std::mutex rows_;    ///< while rows are added, and calls in memory let go of

  mutable std::mutex mutex_;
  mutable std::condition_variable wake_;
  std::condition_variable written_;
  mutable Accounts accounts_;
  SlotFile file_;
  // These have room for all slots that there can be, so that calls stay where they are and nothing grows later.
  std::vector<Call> calls_;            ///< by slot
  std::vector<std::uint32_t> free_;    ///< slots
  std::vector<std::uint32_t> settled_; ///< slots, the earliest first
  std::unordered_map<std::uint64_t, std::uint32_t> held_;
  std::uint64_t lastId_ = 0;
  std::uint64_t hasRow_ = 0;           ///< how many settled calls got their row
  mutable std::int64_t latestDay_ = 0; ///< of no later one there are rows
  mutable bool wantsRebuild_ = false;
  bool unsynced_ = false;
  bool hurries_ = false; ///< somebody waits in flush()
  bool running_ = false;
  std::string slotTrouble_, rowTrouble_; ///< empty: none
  std::chrono::steady_clock::time_point growsAgain_{};
  std::chrono::milliseconds retention_{};
  Figures figures_;

  // Of the thread alone:
  std::string told_; ///< the trouble that operators know of
  std::chrono::steady_clock::time_point lookedAfter_{};
};

} // namespace matrixos::gateway
