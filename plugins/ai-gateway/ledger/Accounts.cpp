#include "Accounts.h"

#include <limits>

namespace matrixos::gateway {

namespace {

constexpr Money kNone;
constexpr Money kMost = Money::ofPico(std::numeric_limits<std::int64_t>::max());

bool isPast(const std::optional<Money> &limit, const Accounts::Sums &sums, Money more) noexcept {
  return limit && (*limit <= kNone || sums.all() + more > *limit);
}

} // namespace

void Accounts::begin(const Period &period) noexcept {
  const bool sameMonth = period.monthBegin == period_.monthBegin;
  const auto turn = [&](Account &account) {
    account.day = {};
    if (!sameMonth) account.month = {};
  };
  if (period == period_) return;
  turn(total_);
  for (auto &[id, user] : users_)
    turn(user.account);
  period_ = period;
}

Accounts::User &Accounts::user(std::string_view instance, std::string_view handle) {
  auto found = users_.find(instance);
  if (found == users_.end()) found = users_.emplace(std::string(instance), User{}).first;
  if (found->second.handle != handle) found->second.handle = handle;
  return found->second;
}

const Accounts::User *Accounts::find(std::string_view instance) const noexcept {
  const auto found = users_.find(instance);
  return found == users_.end() ? nullptr : &found->second;
}

void Accounts::setLimits(const Limits &perUser, const Limits &total) noexcept {
  perUser_ = perUser;
  ofAll_ = total;
}

Limits Accounts::limitsOf(const User *user) const noexcept {
  Limits limits = perUser_;
  if (user != nullptr && user->own.daily) limits.daily = user->own.daily;
  if (user != nullptr && user->own.monthly) limits.monthly = user->own.monthly;
  return limits;
}

std::optional<Refused::By> Accounts::refusal(const User &user, Money more) const noexcept {
  const Limits his = limitsOf(&user);
  if (isPast(his.monthly, user.account.month, more)) return Refused::By::UserMonth;
  if (isPast(ofAll_.monthly, total_.month, more)) return Refused::By::GlobalMonth;
  if (isPast(his.daily, user.account.day, more)) return Refused::By::UserDay;
  if (isPast(ofAll_.daily, total_.day, more)) return Refused::By::GlobalDay;
  // A sum that is cut off at the top could not be taken apart again.
  if (total_.held + more >= kMost) return Refused::By::Journal;
  return std::nullopt;
}

std::optional<Refused::By> Accounts::closed(const User *user) const noexcept {
  const auto isZero = [](const std::optional<Money> &limit) { return limit && *limit <= kNone; };
  const Limits his = limitsOf(user);
  if (isZero(his.monthly)) return Refused::By::UserMonth;
  if (isZero(ofAll_.monthly)) return Refused::By::GlobalMonth;
  if (isZero(his.daily)) return Refused::By::UserDay;
  if (isZero(ofAll_.daily)) return Refused::By::GlobalDay;
  return std::nullopt;
}

std::int64_t Accounts::resetsAtMs(Refused::By limit) const noexcept {
  switch (limit) {
  case Refused::By::UserMonth:
  case Refused::By::GlobalMonth:
    return period_.monthEndsMs();
  case Refused::By::UserDay:
  case Refused::By::GlobalDay:
    return period_.dayEndsMs();
  case Refused::By::Journal:
    break;
  }
  return 0;
}

template <typename Change>
void Accounts::change(User &user, std::int64_t day, Change &&change) noexcept {
  for (Account *account : {&user.account, &total_}) {
    if (day == period_.day) change(account->day);
    if (period_.monthHas(day)) change(account->month);
  }
}

void Accounts::hold(User &user, std::int64_t day, Money amount) noexcept {
  change(user, day, [amount](Sums &sums) { sums.held += amount; });
  user.account.held += amount;
  total_.held += amount;
}

void Accounts::unhold(User &user, std::int64_t day, Money amount) noexcept {
  change(user, day, [amount](Sums &sums) { sums.held -= amount; });
  user.account.held -= amount;
  total_.held -= amount;
}

void Accounts::spend(User &user, std::int64_t day, Money amount) noexcept {
  change(user, day, [amount](Sums &sums) { sums.spent += amount; });
}

void Accounts::forgetSums() noexcept {
  total_ = {};
  for (auto &[id, user] : users_)
    user.account = {};
}

} // namespace matrixos::gateway
