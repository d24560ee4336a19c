#include "Ledger.h"

#include <algorithm>
#include <system_error>
#include <tuple>
#include <utility>

namespace matrixos::gateway {

namespace {

constexpr std::uint32_t kFewestSlots = 256;
constexpr std::chrono::seconds kGrowAgainAfter{1};

Money notNegative(Money amount) noexcept {
  return std::max(amount, Money());
}

Record recordOf(const CallFacts &call, Money hold) noexcept {
  Record record;
  record.hold = hold;
  record.worstCase = call.worstCase;
  record.instance = ShortText<26>(call.instanceId);
  record.handle = ShortText<32>(call.handle);
  record.model = ShortText<63>(call.model);
  record.session = ShortText<63>(call.session);
  return record;
}

} // namespace

Ledger::Ledger(const mos_host_v1 *host, const std::filesystem::path &folder, Surroundings surroundings)
    : log_(host), platform_(host), around_(std::move(surroundings)), store_(host), metrics_(host),
      file_(folder / "calls.slots") {}

Ledger::~Ledger() {
  end();
}

void Ledger::configure(const Settings &settings) {
  const std::lock_guard lock(mutex_);
  accounts_.setLimits(settings.perUser, settings.global);
  retention_ = settings.retention;
}

void Ledger::turn() const noexcept {
  const std::int64_t now = around_.clock();
  const std::int64_t day = Period::dayOf(now);
  if (day == accounts_.period().day) return;
  // Only from the latest day on nothing can have been spent yet: of others the rows know.
  if (day > latestDay_ && accounts_.period().day == latestDay_) {
    accounts_.begin(Period::of(now));
    latestDay_ = day;
  } else if (!std::exchange(wantsRebuild_, true)) {
    wake_.notify_one();
  }
}

std::variant<HoldId, Refused> Ledger::reserve(const CallFacts &call, Money wanted) {
  const Money hold = notNegative(wanted);
  std::unique_lock lock(mutex_);
  if (!running_) return refuse(Refused::By::Journal, "the gateway is not running");
  if (call.instanceId.empty() || call.instanceId.size() > 26)
    return refuse(Refused::By::Journal, "an instance's id has to have 1 to 26 characters");
  Accounts::User &user = accounts_.user(call.instanceId, call.handle);
  for (;;) {
    turn();
    if (const auto by = accounts_.refusal(user, hold))
      return refuse(*by, *by == Refused::By::Journal ? "more is held than can be counted" : "");
    if (!free_.empty()) break;
    lock.unlock();
    const bool grown = grow(1);
    lock.lock();
    if (!grown && free_.empty()) return refuse(Refused::By::Journal, slotlessness());
  }
  const std::uint32_t slot = free_.back();
  held_.emplace(lastId_ + 1, slot);
  free_.pop_back();
  Call &kept = calls_[slot];
  kept = {recordOf(call, hold), &user, Stage::Held};
  kept.record.id = ++lastId_;
  kept.record.atMs = accounts_.period().nearest(around_.clock());
  const std::int64_t day = Period::dayOf(kept.record.atMs);
  accounts_.hold(user, day, hold);
  lock.unlock();

  const int code = file_.write(slot, kept.record);
  if (code == 0) {
    lock.lock();
    if (!slotTrouble_.empty() && free_.size() >= calls_.size() / kSpareShare) slotTrouble_.clear();
    syncSoon();
    return HoldId{kept.record.id};
  }
  file_.clear(slot);
  lock.lock();
  held_.erase(kept.record.id);
  accounts_.unhold(user, day, hold);
  giveBack(slot);
  noteSlotFailure(code);
  return refuse(Refused::By::Journal, slotTrouble_);
}

std::optional<Refused> Ledger::closedTo(std::string_view instanceId) {
  const std::lock_guard lock(mutex_);
  turn();
  const auto by = accounts_.closed(accounts_.find(instanceId));
  return by ? std::optional(refuse(*by)) : std::nullopt;
}

bool Ledger::raise(HoldId id, Money hold) noexcept {
  std::unique_lock lock(mutex_);
  const auto found = held_.find(static_cast<std::uint64_t>(id));
  if (found == held_.end()) return false;
  turn();
  const std::uint32_t slot = found->second;
  Call &call = calls_[slot];
  const Money before = call.record.hold;
  const std::int64_t beforeMs = call.record.atMs;
  if (hold <= before) return true;
  const auto move = [&](Money from, Money to, std::int64_t toMs) {
    accounts_.unhold(*call.user, Period::dayOf(call.record.atMs), from);
    accounts_.hold(*call.user, Period::dayOf(toMs), to);
    call.record.hold = to;
    call.record.atMs = toMs;
  };
  move(before, Money(), accounts_.period().nearest(beforeMs));
  if (accounts_.refusal(*call.user, hold)) {
    move(Money(), before, beforeMs);
    return false;
  }
  move(Money(), hold, call.record.atMs);
  lock.unlock();
  const int code = file_.write(slot, call.record);
  lock.lock();
  if (code != 0) {
    move(hold, before, beforeMs);
    noteSlotFailure(code);
    return false;
  }
  syncSoon();
  return true;
}

void Ledger::settle(HoldId id, const Settlement &settlement) noexcept {
  std::uint32_t slot = 0;
  Call *const call = claim(id, slot);
  if (call == nullptr) return;
  // Until it is booked nobody else looks at what changes here.
  Record settled = call->record;
  settled.state = Record::State::Settled;
  settled.cost = notNegative(settlement.cost);
  settled.tokens = settlement.tokens;
  settled.partial = settlement.partial;
  if (!settlement.model.empty()) settled.model = ShortText<63>(settlement.model);
  const bool tooMuch = settled.worstCase && settled.cost > settled.hold;
  if (tooMuch) {
    settled.cost = settled.hold;
    settled.partial = true;
  }
  // Where this fails the row is written all the same, from memory; only with the process it would be charged at its
  // hold.
  const int code = file_.write(slot, settled);

  const std::lock_guard lock(mutex_);
  turn();
  const std::int64_t day = Period::dayOf(settled.atMs);
  accounts_.unhold(*call->user, day, settled.hold);
  accounts_.spend(*call->user, day, settled.cost);
  call->record = settled;
  call->stage = Stage::Settled;
  if (tooMuch) ++figures_.capped;
  if (code != 0) noteSlotFailure(code);
  settled_.push_back(slot);
  if (settled_.size() == 1) wake_.notify_one();
}

void Ledger::release(HoldId id) noexcept {
  std::uint32_t slot = 0;
  Call *const call = claim(id, slot);
  if (call == nullptr) return;
  const int code = file_.clear(slot);
  const std::lock_guard lock(mutex_);
  accounts_.unhold(*call->user, Period::dayOf(call->record.atMs), call->record.hold);
  giveBack(slot);
  syncSoon();
  if (code != 0) noteSlotFailure(code);
}

Ledger::Call *Ledger::claim(HoldId id, std::uint32_t &slot) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = held_.find(static_cast<std::uint64_t>(id));
  if (found == held_.end()) return nullptr;
  slot = found->second;
  held_.erase(found);
  calls_[slot].stage = Stage::Ending;
  return &calls_[slot];
}

void Ledger::syncSoon() noexcept {
  if (!std::exchange(unsynced_, true)) wake_.notify_one();
}

void Ledger::giveBack(std::uint32_t slot) noexcept {
  calls_[slot].stage = Stage::Free;
  free_.push_back(slot);
}

bool Ledger::grow(std::size_t enough) noexcept {
  const std::lock_guard one(grows_);
  std::uint32_t more = 0;
  {
    const std::lock_guard lock(mutex_);
    if (free_.size() >= enough) return true;
    if (file_.size() >= around_.mostCalls || std::chrono::steady_clock::now() < growsAgain_) return false;
    more = std::min(std::max(file_.size(), kFewestSlots), around_.mostCalls - file_.size());
  }
  const std::uint32_t first = file_.size();
  const int code = file_.grow(more);
  const std::lock_guard lock(mutex_);
  if (code != 0) {
    growsAgain_ = std::chrono::steady_clock::now() + kGrowAgainAfter;
    noteSlotFailure(code);
    return false;
  }
  calls_.resize(first + more);
  for (std::uint32_t slot = first + more; slot > first; --slot)
    free_.push_back(slot - 1);
  if (!std::exchange(slotTrouble_, {}).empty()) wake_.notify_one();
  return true;
}

void Ledger::noteSlotFailure(int code) noexcept {
  slotTrouble_ =
      "calls cannot be written down in " + file_.path().string() + ": " + std::generic_category().message(code);
  wake_.notify_one();
}

std::string Ledger::slotlessness() const {
  if (!slotTrouble_.empty()) return slotTrouble_;
  return rowTrouble_.empty() ? "too many calls are in flight, or wait for the database" : rowTrouble_;
}

Refused Ledger::refuse(Refused::By by, std::string why) {
  ++figures_.refused[static_cast<std::size_t>(by)];
  return {by, accounts_.resetsAtMs(by), std::move(why)};
}

Spend Ledger::spendOf(std::string_view instanceId) const {
  const std::lock_guard lock(mutex_);
  turn();
  const Accounts::User *user = accounts_.find(instanceId);
  return user == nullptr ? Spend{} : user->account.spend();
}

Spend Ledger::total() const {
  const std::lock_guard lock(mutex_);
  turn();
  return accounts_.total().spend();
}

Standing Ledger::standing(std::string_view instanceId, const Accounts::User *user) const {
  const Period &period = accounts_.period();
  return {std::string(instanceId),
          user == nullptr ? "" : user->handle,
          user == nullptr ? Spend{} : user->account.spend(),
          accounts_.limitsOf(user),
          period.dayEndsMs(),
          period.monthEndsMs()};
}

Standing Ledger::standingOf(std::string_view instanceId) const {
  const std::lock_guard lock(mutex_);
  turn();
  return standing(instanceId, accounts_.find(instanceId));
}

std::vector<Standing> Ledger::everybody() const {
  std::vector<Standing> all;
  {
    const std::lock_guard lock(mutex_);
    turn();
    for (const auto &[id, user] : accounts_.users()) {
      if (user.account.spend() != Spend{} || user.own != Limits{}) all.push_back(standing(id, &user));
    }
  }
  std::sort(all.begin(), all.end(), [](const Standing &a, const Standing &b) {
    return std::tie(a.handle, a.instanceId) < std::tie(b.handle, b.instanceId);
  });
  return all;
}

Limits Ledger::changeLimits(std::string_view instanceId, std::string_view handle,
                            const std::function<void(Limits &)> &change) {
  const std::lock_guard one(changes_);
  Limits own;
  {
    const std::lock_guard lock(mutex_);
    if (const Accounts::User *user = accounts_.find(instanceId)) own = user->own;
  }
  change(own);
  store_.setLimits({std::string(instanceId), std::string(handle), own});
  const std::lock_guard lock(mutex_);
  Accounts::User &user = accounts_.user(instanceId, handle);
  user.own = own;
  return accounts_.limitsOf(&user);
}

Ledger::Figures Ledger::figures() const {
  const std::lock_guard lock(mutex_);
  Figures figures = figures_;
  figures.held = held_.size();
  figures.unwritten = settled_.size();
  return figures;
}

} // namespace matrixos::gateway
