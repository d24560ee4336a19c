// ./dev bench identity: what a look at a session costs, through the table of matrixos.policy/1 that the proxy calls.
//   check       with so many people who are signed in, each with an instance of his own, who ask in turn; allocations
//               are counted by operator new
//   memory      what so many sessions take, each with a cookie of one instance's host; without the instances
//   revoke      from the end of a session until each of so many threads that ask all the time has been refused
#include "support/Allocations.h"
#include "unit/identity/Doorway.h"

#include <benchmark/benchmark.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace matrixos;
using test::allocations;
using test::BareQuestion;
using test::CrowdDatabase;
using test::Doorway;

namespace {

/// Made once for each size.
const Doorway &doorwayOf(std::int64_t people) {
  static std::map<std::int64_t, std::unique_ptr<Doorway>> all;
  auto &doorway = all[people];
  if (!doorway) doorway = std::make_unique<Doorway>(people);
  return *doorway;
}

void check(benchmark::State &state) {
  constexpr std::int64_t kAsk = 4096; // people who ask; more would measure the questions
  const std::int64_t people = state.range(0);
  const Doorway &doorway = doorwayOf(people);
  std::vector<std::unique_ptr<BareQuestion>> questions;
  // The threads' are neighbours: they share what they look at as little, and as much, as visitors do.
  for (std::int64_t i = 0; i < std::min(people, kAsk); ++i) {
    const std::int64_t person = (i * 7919 + state.thread_index()) % people;
    questions.push_back(
        std::make_unique<BareQuestion>(CrowdDatabase::handleOf(person), CrowdDatabase::cookieOf(person)));
  }
  std::size_t next = 0;
  const std::size_t before = allocations;
  for (auto _ : state) {
    if (questions[next]->ask(doorway.policy) != MOS_VERDICT_ALLOW) state.SkipWithError("somebody was refused");
    if (++next == questions.size()) next = 0;
  }
  state.counters["allocations"] = static_cast<double>(allocations - before);
}

void memory(benchmark::State &state) {
  const auto used = [] {
    const auto heap = ::mallinfo2();
    return heap.uordblks + heap.hblkhd;
  };
  for (auto _ : state) {
    const CrowdDatabase database(state.range(0));
    const Sql sql(database.abi());
    const std::size_t before = used();
    identity::Sessions sessions(sql, [] { return std::int64_t{1000}; });
    sessions.load({100'000, 0, {}});
    state.counters["MB"] = static_cast<double>(used() - before) / 1e6;
  }
}

void revoke(benchmark::State &state) {
  using Clock = std::chrono::steady_clock;
  Doorway doorway;
  doorway.own("alice", "user_a");
  for (auto _ : state) {
    const auto session = identity::Digest::of(doorway.sessions.begin({"user_a", "a@b.c", true, "A", "", {}}));
    const std::string cookie = doorway.sessions.grant(session, "alice");
    std::atomic<std::int64_t> asking{0};
    std::vector<Clock::time_point> refused(static_cast<std::size_t>(state.range(0)));
    std::vector<std::thread> loops;
    for (Clock::time_point &at : refused) {
      loops.emplace_back([&] {
        BareQuestion question("alice", cookie);
        question.ask(doorway.policy);
        ++asking;
        while (question.ask(doorway.policy) == MOS_VERDICT_ALLOW) {
        }
        at = Clock::now();
      });
    }
    while (asking < state.range(0))
      std::this_thread::yield();
    const auto began = Clock::now();
    doorway.sessions.end(session);
    for (std::thread &loop : loops)
      loop.join();
    const std::chrono::duration<double> took = *std::max_element(refused.begin(), refused.end()) - began;
    state.SetIterationTime(took.count());
  }
}

} // namespace

BENCHMARK(check)->Arg(1)->Arg(1000)->Arg(100'000)->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(memory)->Arg(100'000)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(revoke)->Arg(1)->Arg(4)->UseManualTime()->Iterations(200)->Unit(benchmark::kMicrosecond);
BENCHMARK_MAIN();
