// What the ledger does beside the calls: it recovers what was in flight, writes rows, and reads the totals of a day
// from them.
#include "Ledger.h"

#include <matrixos/failpoint.hpp>
#include <matrixos/status.hpp>

#include <pthread.h>

#include <algorithm>
#include <exception>
#include <unordered_set>
#include <utility>

namespace matrixos::gateway {

namespace {

/// How long rows and slots wait for others to reach the disk with.
constexpr std::chrono::milliseconds kGroup{100};
constexpr std::chrono::seconds kRetry{1};
constexpr std::chrono::seconds kLookAfter{60};
constexpr std::size_t kMostRows = 1000;
constexpr int kMostRemoved = 2000;
constexpr std::size_t kMostCleared = 64;
/// A run of the process numbers its calls from here on, above the number of the run.
constexpr unsigned kRunShift = 40;

} // namespace

void Ledger::start(const Settings &settings) {
  configure(settings);
  store_.migrate();
  recover();
  rebuild();
  grow(1); // the first calls find their slots; where that fails they are refused, and told why
  {
    const std::lock_guard lock(mutex_);
    running_ = true;
  }
  thread_ = std::thread([this] { work(); });
}

void Ledger::end() noexcept {
  {
    const std::lock_guard lock(mutex_);
    running_ = false;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Ledger::recover() {
  const SlotFile::Content content = file_.open();
  if (!content.movedTo.empty())
    log_.error("the file of calls in flight was none of ours; what was in flight is not charged",
               {{"file", file_.path().string()}, {"movedTo", content.movedTo}});
  if (!content.damaged.empty())
    log_.error("calls in flight cannot be read and are not charged",
               {{"file", file_.path().string()}, {"calls", content.damaged.size()}, {"firstSlot", content.damaged[0]}});
  std::uint64_t lastId = store_.lastId();
  for (const auto &[slot, record] : content.calls)
    lastId = std::max(lastId, record.id);
  lastId_ = file_.beginRun(lastId >> kRunShift) << kRunShift;
  const std::size_t most = std::max(file_.size(), around_.mostCalls);
  calls_.reserve(most);
  free_.reserve(most);
  settled_.reserve(most);
  calls_.resize(file_.size());
  takeOver(content);
  for (std::uint32_t slot = file_.size(); slot-- > 0;) {
    if (calls_[slot].stage == Stage::Free) free_.push_back(slot);
  }
  if (figures_.recovered != 0)
    log_.warning("calls that were in flight when the daemon ended are charged at what was held for them",
                 {{"calls", figures_.recovered}});
}

void Ledger::takeOver(const SlotFile::Content &content) {
  std::unordered_set<std::uint64_t> seen;
  for (const auto &[slot, record] : content.calls) {
    if (store_.has(record.id) || !seen.insert(record.id).second) {
      file_.clear(slot);
      continue;
    }
    Call &call = calls_[slot];
    call = {record, &accounts_.user(record.instance.view(), record.handle.view()), Stage::Settled};
    if (record.state == Record::State::Reserved) {
      call.record.chargeHold();
      file_.write(slot, call.record);
      ++figures_.recovered;
    }
    settled_.push_back(slot);
    latestDay_ = std::max(latestDay_, Period::dayOf(record.atMs));
  }
  store_.eachPerson([this](const CallStore::Person &person) {
    if (person.own != Limits{}) accounts_.user(person.instance, person.handle).own = person.own;
  });
  latestDay_ = std::max({latestDay_, Period::dayOf(store_.latestMs()), Period::dayOf(around_.clock())});
}

Ledger::Spent Ledger::spentIn(const Period &period) const {
  Spent spent;
  // Day by day, so that no query runs long.
  for (std::int64_t day = period.monthBegin; day < period.monthEnd; ++day) {
    store_.eachSpent(day,
                     [&](const CallStore::Person &person, Money money) { spent.emplace_back(person, day, money); });
  }
  return spent;
}

void Ledger::sumUp(const Spent &spent) {
  accounts_.forgetSums();
  for (const auto &[person, day, money] : spent)
    accounts_.spend(accounts_.user(person.instance, person.handle), day, money);
  for (const Call &call : calls_) {
    if (call.stage == Stage::Free) continue;
    const std::int64_t day = Period::dayOf(call.record.atMs);
    if (call.stage == Stage::Settled)
      accounts_.spend(*call.user, day, call.record.cost);
    else
      accounts_.hold(*call.user, day, call.record.hold);
  }
}

void Ledger::rebuild() {
  const std::lock_guard rows(rows_);
  const Period period = Period::of(around_.clock());
  const Spent spent = spentIn(period);
  const std::lock_guard lock(mutex_);
  accounts_.begin(period);
  latestDay_ = std::max(latestDay_, period.day);
  sumUp(spent);
  wantsRebuild_ = false;
}

std::string Ledger::check() {
  const std::lock_guard rows(rows_);
  Period period;
  {
    const std::lock_guard lock(mutex_);
    turn();
    period = accounts_.period();
  }
  const Spent spent = spentIn(period);
  const std::lock_guard lock(mutex_);
  if (accounts_.period() != period) return {};
  Accounts before = accounts_;
  sumUp(spent);
  std::string differs;
  const auto compare = [&differs](const std::string &who, const Accounts::Account &counted,
                                  const Accounts::Account &summed) {
    if (counted == summed) return;
    const Spend a = counted.spend(), b = summed.spend();
    differs = who + " has spent " + std::to_string(a.day.pico()) + " today, " + std::to_string(a.month.pico()) +
              " this month, and holds " + std::to_string(a.held.pico()) + " pico-dollars; the rows say " +
              std::to_string(b.day.pico()) + ", " + std::to_string(b.month.pico()) + " and " +
              std::to_string(b.held.pico());
  };
  compare("everybody", before.total(), accounts_.total());
  for (const auto &[id, user] : accounts_.users()) {
    const Accounts::User *const counted = before.find(id);
    compare(id, counted == nullptr ? Accounts::Account{} : counted->account, user.account);
  }
  return differs;
}

void Ledger::work() noexcept {
  ::pthread_setname_np(::pthread_self(), "ai-ledger");
  for (bool more = true; more;) {
    bool sync = false;
    {
      std::unique_lock lock(mutex_);
      waitForWork(lock);
      more = running_;
      sync = std::exchange(unsynced_, false);
      hurries_ = false;
    }
    step(sync);
  }
}

void Ledger::waitForWork(std::unique_lock<std::mutex> &lock) {
  if (!rowTrouble_.empty()) {
    wake_.wait_for(lock, kRetry, [this] { return !running_; });
    return;
  }
  const bool calm = slotTrouble_.empty() && told_.empty();
  wake_.wait_for(lock, calm ? kLookAfter : kRetry, [this, calm] {
    return !running_ || hurries_ || unsynced_ || wantsRebuild_ || !settled_.empty() || calm != slotTrouble_.empty();
  });
  wake_.wait_for(lock, kGroup, [this] { return !running_ || hurries_; });
}

void Ledger::step(bool sync) noexcept {
  std::string trouble;
  try {
    if (const int code = sync ? file_.sync() : 0) {
      const std::lock_guard lock(mutex_);
      noteSlotFailure(code);
    }
    while (commit()) {
    }
    lookAfter();
  } catch (const std::exception &e) {
    trouble = std::string("what calls cost cannot be written to the database: ") + e.what();
  }
  bool fewSlots = false;
  std::size_t spare = 0;
  {
    const std::lock_guard lock(mutex_);
    rowTrouble_ = trouble;
    spare = calls_.size() / kSpareShare;
    fewSlots = free_.size() < spare;
  }
  written_.notify_all();
  const Figures now = figures();
  metrics_.stands(now.refused, now.held, total().held, now.unwritten);
  if (fewSlots) grow(spare);
  tell();
}

bool Ledger::commit() {
  const std::lock_guard rows(rows_);
  std::vector<std::uint32_t> slots;
  std::vector<Record> records;
  {
    const std::lock_guard lock(mutex_);
    const auto end = settled_.begin() + static_cast<std::ptrdiff_t>(std::min(settled_.size(), kMostRows));
    slots.assign(settled_.begin(), end);
    records.reserve(slots.size());
    for (const std::uint32_t slot : slots)
      records.push_back(calls_[slot].record);
  }
  if (slots.empty()) return false;
  store_.append(records);
  MATRIXOS_FAILPOINT("gateway.rows_written");
  const std::lock_guard lock(mutex_);
  settled_.erase(settled_.begin(), settled_.begin() + static_cast<std::ptrdiff_t>(slots.size()));
  for (const std::uint32_t slot : slots) {
    calls_[slot].hasRow = true;
    giveBack(slot);
  }
  hasRow_ += slots.size();
  return true;
}

/// What has to be done now and then, or because the clock went back.
void Ledger::lookAfter() {
  bool again = false, last = false;
  std::int64_t oldest = 0;
  {
    const std::lock_guard lock(mutex_);
    turn();
    again = wantsRebuild_;
    last = !running_;
    oldest = std::min(around_.clock() - retention_.count(), accounts_.period().monthBegin * kDayMs);
  }
  if (again) rebuild();
  const auto now = std::chrono::steady_clock::now();
  if (!last && now - lookedAfter_ < kLookAfter) return;
  lookedAfter_ = now;
  clearSlots();
  store_.removeBefore(oldest, kMostRemoved);
}

/// Of calls that have a row, which are known by it until then. Most slots are soon written over, and need none of this.
void Ledger::clearSlots() {
  std::vector<std::uint32_t> slots;
  slots.reserve(kMostCleared);
  do {
    {
      const std::lock_guard lock(mutex_);
      for (const std::uint32_t slot : slots)
        giveBack(slot);
      slots.clear();
      // A few at a time: calls need the others meanwhile.
      std::erase_if(free_, [&](std::uint32_t slot) {
        if (slots.size() == kMostCleared || !std::exchange(calls_[slot].hasRow, false)) return false;
        slots.push_back(slot);
        return true;
      });
    }
    for (const std::uint32_t slot : slots)
      file_.clear(slot);
  } while (!slots.empty());
}

void Ledger::tell() {
  std::string trouble;
  {
    const std::lock_guard lock(mutex_);
    trouble = slotTrouble_.empty() ? rowTrouble_ : slotTrouble_;
  }
  if (trouble == told_) return;
  if (trouble.empty())
    log_.info("calls are written down again");
  else
    log_.error(trouble);
  told_ = trouble;
  if (around_.trouble)
    around_.trouble(told_);
  else
    platform_.setDegraded(told_);
}

bool Ledger::flush(std::chrono::milliseconds most) {
  std::unique_lock lock(mutex_);
  const std::uint64_t target = hasRow_ + settled_.size();
  hurries_ = true;
  wake_.notify_one();
  written_.wait_for(lock, most, [&] { return hasRow_ >= target || !rowTrouble_.empty() || !running_; });
  return hasRow_ >= target;
}

} // namespace matrixos::gateway
