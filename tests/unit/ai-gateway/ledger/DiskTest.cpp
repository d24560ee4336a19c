// A disk that is full.
#include "Books.h"
#include "support/SmallDisk.h"
#include "support/Text.h"

#include <doctest/doctest.h>

using namespace matrixos;
using namespace matrixos::gateway;
using namespace matrixos::gateway::test;

TEST_CASE("a full disk refuses calls and says why, loses nothing, and goes on when there is space") {
  matrixos::test::TempDir dir;
  matrixos::test::SmallDisk disk(dir / "disk");
  if (!disk.mounted()) return; // nobody but root has one
  Books books(disk.path());
  std::int64_t spent = 0;
  const auto spend = [&] {
    books.spend("a", pico(3));
    spent += 3;
  };
  spend();
  CHECK(books.flush());
  disk.fill();
  std::vector<HoldId> open;
  Refused refused{};
  for (bool more = true; more && open.size() < 100'000;) {
    const auto held = books.reserve("a", pico(10));
    more = std::holds_alternative<HoldId>(held);
    if (more)
      open.push_back(std::get<HoldId>(held));
    else
      refused = std::get<Refused>(held);
  }
  CHECK(open.size() > 100);
  CHECK(refused.by == Refused::By::Journal);
  matrixos::test::checkHas(refused.why, "No space left on device");
  CHECK(eventually([&] { return matrixos::test::has(books.host->degraded(), "cannot be written"); }));
  // Whoever is under way comes home.
  for (std::size_t i = 0; i < open.size() / 2; ++i) {
    books.settle(open[i], pico(4));
    spent += 4;
  }
  CHECK(books.ledger->spendOf("a").day == pico(spent));
  CHECK(books.ledger->spendOf("a").held == pico(static_cast<std::int64_t>(10 * (open.size() - open.size() / 2))));

  disk.free();
  CHECK(eventually([&] { return std::holds_alternative<HoldId>(books.reserve("a", pico(10))); }));
  spent += 10; // which stays open
  CHECK(eventually([&] { return books.ledger->figures().unwritten == 0; }));
  CHECK(eventually([&] { return books.host->degraded().empty(); }));
  spend();
  CHECK(books.flush());
  CHECK(books.ledger->check() == "");
  books.reopen();
  spent += static_cast<std::int64_t>(10 * (open.size() - open.size() / 2));
  CHECK(books.ledger->total().day == pico(spent));
  CHECK(books.ledger->check() == "");
}

TEST_CASE("a process that ends on a full disk has forgotten nothing when there is space again") {
  matrixos::test::TempDir dir;
  matrixos::test::SmallDisk disk(dir / "disk");
  if (!disk.mounted()) return;
  Books books(disk.path());
  books.spend("a", pico(3));
  CHECK(books.flush());
  const HoldId id = books.held("a", pico(10));
  books.held("b", pico(20));
  disk.fill();
  books.settle(id, pico(5));
  books.ledger->end();
  disk.free();
  books.reopen();
  CHECK(books.ledger->spendOf("a").day == pico(8));
  CHECK(books.ledger->spendOf("b").day == pico(20));
  CHECK(books.flush());
  CHECK(books.ledger->check() == "");
}
