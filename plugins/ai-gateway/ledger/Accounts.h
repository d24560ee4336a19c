#pragma once

#include "Limits.h"
#include "Period.h"

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace matrixos::gateway {

/// What everybody has spent and holds in the present day and month, and what that is held against. A value; whoever has
/// it locks it.
class Accounts {
public:
  struct Sums {
    Money spent, held;
    Money all() const noexcept { return spent + held; }
    bool operator==(const Sums &) const = default;
  };
  struct Account {
    Sums day, month;
    Money held; ///< of other days and months, too
    Spend spend() const noexcept { return {day.spent, month.spent, held}; }
    bool operator==(const Account &) const = default;
  };
  struct User {
    Account account;
    Limits own;
    std::string handle;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  /// By the instance's id. Users stay where they are.
  using Users = std::unordered_map<std::string, User, Hash, std::equal_to<>>;

  const Period &period() const noexcept { return period_; }
  /// Of days and months that are not these any more nothing is spent; what is held in them counts as held alone.
  void begin(const Period &period) noexcept;

  /// Made when he is not there; the handle is the one that he has now.
  User &user(std::string_view instance, std::string_view handle);
  const User *find(std::string_view instance) const noexcept;
  const Users &users() const noexcept { return users_; }
  const Account &total() const noexcept { return total_; }

  void setLimits(const Limits &perUser, const Limits &total) noexcept;
  /// His own, or those of everybody; of a stranger (null) too.
  Limits limitsOf(const User *user) const noexcept;

  /// Which limit keeps him from holding so much more, of several the one that resets last; Journal: it is too much to
  /// be counted. Nothing: he may.
  std::optional<Refused::By> refusal(const User &user, Money more) const noexcept;
  /// Which limit of 0 keeps him from everything, also from what costs nothing; of a stranger (null) too.
  std::optional<Refused::By> closed(const User *user) const noexcept;
  /// When that limit begins anew; 0 for Journal.
  std::int64_t resetsAtMs(Refused::By limit) const noexcept;

  void hold(User &user, std::int64_t day, Money amount) noexcept;
  void unhold(User &user, std::int64_t day, Money amount) noexcept;
  void spend(User &user, std::int64_t day, Money amount) noexcept;
  /// As if nobody had spent or held anything.
  void forgetSums() noexcept;

private:
  template <typename Change>
  void change(User &user, std::int64_t day, Change &&change) noexcept;

  Period period_;
  Limits perUser_, ofAll_;
  Account total_;
  Users users_;
};

} // namespace matrixos::gateway
