// A process that is killed forgets nothing that was acknowledged, and counts nothing twice.
#include "Books.h"
#include "support/SmallDisk.h"
#include "unit/storage/ChildProcess.h"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <set>
#include <sstream>
#include <thread>
#include <vector>

using namespace matrixos;
using namespace matrixos::gateway;
using namespace matrixos::gateway::test;
using matrixos::test::ChildProcess;
using matrixos::test::say;

namespace {

constexpr const char *kWorker = "worker: calls until it is killed";

/// What the parent knows of a call. Costs and holds say how the call went: a hold is odd, what is settled is even.
struct Told {
  std::int64_t hold = 0;
  std::int64_t cost = 0;
  bool settles = false, settled = false, releases = false, released = false;
};

/// What children said: before they did something, and once it was done.
struct Tale {
  std::map<std::int64_t, Told> calls; ///< by id
  std::multiset<std::int64_t> begun;  ///< holds of which nobody has said how it went

  void read(const std::string &line) {
    std::istringstream in(line);
    std::string word;
    std::int64_t first = 0, second = 0;
    in >> word >> first >> second;
    if (word == "reserve") {
      begun.insert(first);
    } else if (word == "reserved") {
      begun.erase(begun.find(second));
      CHECK(calls.count(first) == 0);
      calls[first].hold = second;
    } else if (word == "settle") {
      calls[first].settles = true;
      calls[first].cost = second;
    } else if (word == "settled") {
      calls[first].settled = true;
    } else if (word == "release") {
      calls[first].releases = true;
    } else if (word == "released") {
      calls[first].released = true;
    }
  }

  /// How many rows do not fit.
  int misfits(const std::vector<CallRow> &rows) const {
    int count = 0;
    std::multiset<std::int64_t> unknown = begun;
    std::set<std::int64_t> seen;
    for (const CallRow &row : rows) {
      seen.insert(row.id);
      const auto found = calls.find(row.id);
      const std::int64_t cost = row.cost.pico();
      if (found == calls.end()) {
        const auto one = unknown.find(cost);
        if (one == unknown.end())
          ++count;
        else
          unknown.erase(one);
        continue;
      }
      const Told &told = found->second;
      const bool atCost = told.settles && cost == told.cost && !row.partial;
      const bool atHold = !told.settled && cost == told.hold && row.partial;
      if (told.released || (!atCost && !atHold)) ++count;
    }
    for (const auto &[id, told] : calls)
      if (seen.count(id) == 0 && !told.releases) ++count;
    return count;
  }
};

/// Runs a child until it has said so much, kills it, and checks what it left.
void killOnce(Tale &tale, const std::filesystem::path &folder, int lines, const std::string &failpoint = {}) {
  {
    ChildProcess child(kWorker, folder.string(), failpoint);
    std::string line;
    for (int n = 0; child.readLine(line); ++n) {
      tale.read(line);
      if (n == lines && failpoint.empty()) ::kill(child.pid(), SIGKILL);
    }
    CHECK(child.wait() == -1);
  }
  Books books(folder);
  CHECK(books.flush());
  const std::vector<CallRow> rows = books.rows();
  CHECK(tale.misfits(rows) == 0);
  Money sum;
  for (const CallRow &row : rows)
    sum += row.cost;
  CHECK(books.ledger->total() == Spend{sum, sum, {}});
  CHECK(books.ledger->check() == "");
}

} // namespace

TEST_CASE("worker: calls until it is killed" * doctest::skip()) {
  Books books(std::filesystem::path(matrixos::test::childArgument()));
  std::vector<std::thread> threads;
  for (int n = 0; n < 4; ++n) {
    threads.emplace_back([&books, n] {
      std::minstd_rand random(std::random_device{}() + static_cast<unsigned>(n));
      for (;;) {
        const std::int64_t hold = static_cast<std::int64_t>(random() % 1000) * 2 + 1001;
        say("reserve " + std::to_string(hold));
        const HoldId id = books.held("u" + std::to_string(n % 2), pico(hold));
        const std::string name = std::to_string(static_cast<std::uint64_t>(id));
        say("reserved " + name + " " + std::to_string(hold));
        if (random() % 8 == 0) continue; // stays in flight
        if (random() % 4 == 0) {
          say("release " + name);
          books.ledger->release(id);
          say("released " + name);
          continue;
        }
        const std::int64_t cost = static_cast<std::int64_t>(random() % 500) * 2;
        say("settle " + name + " " + std::to_string(cost));
        books.settle(id, pico(cost));
        say("settled " + name);
      }
    });
  }
  for (std::thread &thread : threads)
    thread.join();
}

TEST_CASE("killed 50 times at random moments, nothing is forgotten, and nothing is counted twice") {
  matrixos::test::TempDir dir;
  matrixos::test::SmallDisk disk(dir / "disk"); // in memory: what outlives a process does not depend on it
  Tale tale;
  std::minstd_rand random(20261130);
  for (int round = 0; round < 50; ++round) {
    CAPTURE(round);
    killOnce(tale, disk.path(), static_cast<int>(random() % 1500));
  }
  CHECK(tale.calls.size() > 1000);
}

TEST_CASE("killed when rows are written and the calls still stand in their slots, nothing is counted twice") {
  matrixos::test::TempDir dir;
  matrixos::test::SmallDisk disk(dir / "disk"); // in memory: what outlives a process does not depend on it
  Tale tale;
  for (const char *moment : {"gateway.rows_written:1", "gateway.rows_written:3"})
    killOnce(tale, disk.path(), 0, moment);
  CHECK(tale.calls.size() > 10);
}
