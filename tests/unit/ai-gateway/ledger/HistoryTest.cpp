// Random histories against a simple model: what is held and spent is what the model says, and what the rows say.
#include "Books.h"
#include "support/SmallDisk.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <ostream>
#include <vector>

using namespace matrixos;
using namespace matrixos::gateway;
using namespace matrixos::gateway::test;

namespace {

enum Kind { Reserve, Settle, Release, Raise, Clock, Flush, Crash, Restart, kKinds };

struct Step {
  int kind = 0, who = 0, which = 0;
  std::int64_t amount = 0;
};

std::ostream &operator<<(std::ostream &out, const Step &step) {
  static const char *const kWords[]{"reserve", "settle", "release", "raise", "clock", "flush", "crash", "restart"};
  return out << kWords[step.kind] << " u" << step.who << " #" << step.which << " " << step.amount;
}

struct Booked {
  int who = 0;
  std::int64_t day = 0, amount = 0;
};

/// The ledger as one would write it with all the time in the world.
struct Model {
  std::map<HoldId, Booked> holds;
  std::vector<Booked> rows;
  std::int64_t day = 0;

  template <typename Counts>
  std::int64_t sum(bool held, Counts &&counts) const {
    std::int64_t sum = 0;
    if (held)
      for (const auto &[id, hold] : holds)
        sum += counts(hold) ? hold.amount : 0;
    else
      for (const Booked &row : rows)
        sum += counts(row) ? row.amount : 0;
    return sum;
  }
  bool sameMonth(std::int64_t other) const { return Period::of(day * kDayMs).monthHas(other); }
  Spend spend(int who) const {
    const auto his = [who](const Booked &booked) { return who < 0 || booked.who == who; };
    return {pico(sum(false, [&](const Booked &b) { return his(b) && b.day == day; })),
            pico(sum(false, [&](const Booked &b) { return his(b) && sameMonth(b.day); })), pico(sum(true, his))};
  }
  bool allows(int who, std::int64_t amount, const Ledger::Settings &limits) const {
    const auto fits = [&](int whose, const Limits &most) {
      const auto his = [whose](const Booked &booked) { return whose < 0 || booked.who == whose; };
      const auto today = [&](const Booked &b) { return his(b) && b.day == day; };
      const auto month = [&](const Booked &b) { return his(b) && sameMonth(b.day); };
      return sum(false, today) + sum(true, today) + amount <= most.daily->pico() &&
             sum(false, month) + sum(true, month) + amount <= most.monthly->pico();
    };
    return fits(who, limits.perUser) && fits(-1, limits.global);
  }
};

class History {
public:
  History() : books_(disk_.path(), {{pico(100), pico(300)}, {pico(220), pico(500)}, std::chrono::hours{24 * 400}}) {
    model_.day = Period::dayOf(books_.now);
  }

  void run(const std::vector<Step> &steps) {
    for (const Step &step : steps) {
      take(step);
      compare();
    }
    RC_ASSERT(books_.flush());
    RC_ASSERT(books_.ledger->check() == "");
    std::int64_t rows = 0, modelled = 0;
    const auto all = books_.rows();
    for (const CallRow &row : all)
      rows += row.cost.pico();
    for (const Booked &row : model_.rows)
      modelled += row.amount;
    RC_ASSERT(rows == modelled);
    RC_ASSERT(all.size() == model_.rows.size());
  }

private:
  void take(const Step &step) {
    switch (step.kind) {
    case Reserve:
      return reserve(step);
    case Clock:
      return setClock(step);
    case Flush:
      RC_ASSERT(books_.flush());
      return;
    case Crash:
    case Restart:
      for (const auto &[id, hold] : model_.holds)
        model_.rows.push_back(hold);
      model_.holds.clear();
      step.kind == Crash ? books_.crash() : books_.reopen();
      return;
    default:
      return change(step);
    }
  }

  void reserve(const Step &step) {
    const auto held = books_.reserve("u" + std::to_string(step.who), pico(step.amount), step.which % 2 == 0);
    RC_ASSERT(std::holds_alternative<HoldId>(held) == model_.allows(step.who, step.amount, books_.settings));
    if (const HoldId *id = std::get_if<HoldId>(&held)) {
      RC_ASSERT(*id > last_);
      last_ = *id;
      worstCase_[*id] = step.which % 2 == 0;
      model_.holds[*id] = {step.who, model_.day, step.amount};
    }
  }

  void change(const Step &step) {
    if (model_.holds.empty()) return;
    const auto found = std::next(model_.holds.begin(), step.which % static_cast<int>(model_.holds.size()));
    const auto [id, hold] = *found;
    if (step.kind == Raise) {
      if (step.amount <= hold.amount) {
        RC_ASSERT(books_.ledger->raise(id, pico(step.amount)));
        return;
      }
      model_.holds.erase(id);
      const bool allowed = model_.allows(hold.who, step.amount, books_.settings);
      RC_ASSERT(books_.ledger->raise(id, pico(step.amount)) == allowed);
      model_.holds[id] = allowed ? Booked{hold.who, model_.day, step.amount} : hold;
      return;
    }
    model_.holds.erase(found);
    if (step.kind == Release) {
      books_.ledger->release(id);
    } else {
      books_.settle(id, pico(step.amount));
      model_.rows.push_back({hold.who, hold.day, worstCase_[id] ? std::min(step.amount, hold.amount) : step.amount});
    }
  }

  /// Hours forth, or now and then back.
  void setClock(const Step &step) {
    const std::int64_t hours = step.which % 4 == 0 ? -step.amount : step.amount;
    books_.now += hours * 3'600'000;
    model_.day = Period::dayOf(books_.now);
    RC_ASSERT(eventually([&] { return books_.ledger->standingOf("u0").dayEndsMs == (model_.day + 1) * kDayMs; }));
  }

  void compare() const {
    for (int who = 0; who < 3; ++who)
      RC_ASSERT(books_.ledger->spendOf("u" + std::to_string(who)) == model_.spend(who));
    RC_ASSERT(books_.ledger->total() == model_.spend(-1));
  }

  matrixos::test::TempDir dir_;
  matrixos::test::SmallDisk disk_{dir_ / "disk"}; // in memory: hundreds of starts would wait for a real one
  Books books_;
  Model model_;
  HoldId last_{};
  std::map<HoldId, bool> worstCase_;
};

rc::Gen<std::vector<Step>> histories() {
  const auto kinds = rc::gen::weightedElement<int>(
      {{10, Reserve}, {6, Settle}, {2, Release}, {3, Raise}, {3, Clock}, {1, Flush}, {1, Crash}, {1, Restart}});
  return rc::gen::container<std::vector<Step>>(rc::gen::construct<Step>(
      kinds, rc::gen::inRange(0, 3), rc::gen::inRange(0, 100), rc::gen::inRange<std::int64_t>(0, 60)));
}

} // namespace

TEST_CASE("after any history the totals are those of the model and of the rows") {
  CHECK(rc::check([] { History().run(*histories()); }));
}
