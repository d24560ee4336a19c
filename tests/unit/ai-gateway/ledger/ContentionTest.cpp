// Many at once against a small budget.
#include "Books.h"

#include <doctest/doctest.h>

#include <barrier>
#include <random>
#include <thread>
#include <vector>

using namespace matrixos;
using namespace matrixos::gateway;
using namespace matrixos::gateway::test;

TEST_CASE("200 calls at once, 100 times, never spend more than there is, and hold nothing in the end") {
  constexpr int kCalls = 200, kRounds = 100;
  constexpr std::int64_t kHold = 1000, kBudget = 10 * kHold, kGlobal = kRounds * kBudget - 5 * kHold;
  Ledger::Settings limits;
  limits.perUser = {pico(kBudget), {}};
  limits.global = {{}, pico(kGlobal)};
  Books books(limits);
  Ledger &ledger = *books.ledger;
  std::atomic<std::int64_t> spent{0};
  std::atomic<int> overspent{0}, admitted{0}, unexpected{0};
  int roundsThatHold = 0;
  std::int64_t before = 0;
  std::vector<std::string> users;
  for (int round = 0; round < kRounds; ++round)
    users.push_back("user-" + std::to_string(round));
  int round = 0;
  std::barrier together(kCalls, [&]() noexcept {
    if (ledger.total().held != Money() || ledger.total().month.pico() != spent) ++roundsThatHold;
    before = spent;
    ++round;
  });
  const auto isOver = [&](const std::string &who) {
    const Spend his = ledger.spendOf(who), all = ledger.total();
    return his.day + his.held > pico(kBudget) || all.month + all.held > pico(kGlobal);
  };
  std::vector<std::thread> threads;
  for (int n = 0; n < kCalls; ++n) {
    threads.emplace_back([&, n] {
      std::minstd_rand random(static_cast<unsigned>(n));
      for (int i = 0; i < kRounds; ++i) {
        const std::string &who = users[static_cast<std::size_t>(i)];
        const auto held = books.reserve(who, pico(kHold));
        if (isOver(who)) ++overspent;
        if (const HoldId *id = std::get_if<HoldId>(&held)) {
          ++admitted;
          const std::int64_t cost = static_cast<std::int64_t>(random() % (kHold + 1));
          if (random() % 4 == 0) {
            ledger.release(*id);
          } else {
            spent += cost;
            books.settle(*id, pico(cost));
          }
        } else if (std::get<Refused>(held).by == Refused::By::Journal) {
          ++unexpected;
        }
        together.arrive_and_wait();
      }
    });
  }
  for (std::thread &thread : threads)
    thread.join();
  CHECK(round == kRounds);
  CHECK(overspent == 0);
  CHECK(unexpected == 0);
  CHECK(roundsThatHold == 0);
  CHECK(admitted >= kRounds * 10);
  CHECK(ledger.total() == Spend{pico(spent), pico(spent), {}});
  CHECK(ledger.figures().held == 0);
  CHECK(ledger.flush(matrixos::test::kPatience));
  CHECK(ledger.check() == "");
  books.reopen();
  CHECK(books.ledger->total().month == pico(spent));
}

TEST_CASE("limits, totals, checks and settlements do not get into each other's way") {
  Books books;
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  for (int n = 0; n < 4; ++n) {
    threads.emplace_back([&, n] {
      const std::string who = "u" + std::to_string(n % 2);
      while (!over) {
        // Refused when the database does not keep up.
        const auto held = books.reserve(who, pico(100), false);
        if (std::holds_alternative<Refused>(held)) continue;
        books.ledger->raise(std::get<HoldId>(held), pico(200));
        books.settle(std::get<HoldId>(held), pico(150));
      }
    });
  }
  std::string wrong;
  for (int i = 0; i < 20 && wrong.empty(); ++i) {
    books.ledger->changeLimits("u0", "zero", [i](Limits &own) { own.daily = pico(1'000'000'000'000LL + i); });
    // Over midnight and back: the totals are read again while calls go on.
    books.now += i % 2 == 0 ? kDayMs : -kDayMs;
    wrong = books.ledger->check();
    books.ledger->configure({});
  }
  over = true;
  for (std::thread &thread : threads)
    thread.join();
  CHECK(wrong == "");
  CHECK(books.flush());
  CHECK(books.ledger->check() == "");
  CHECK(books.ledger->total().held == Money());
}
