/// Random histories: what has to hold after every one of them.
#include "Random.h"
#include "Rig.h"
#include "support/TempDir.h"

#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <set>

using namespace matrixos;
using namespace matrixos::simulated;
using namespace matrixos::simulated::test;

namespace {

/// One thing that somebody does. The numbers choose among few names, so that histories collide.
struct Step {
  int what = 0;
  int who = 0;
  int how = 0;
};

constexpr int kKinds = 10;

std::ostream &operator<<(std::ostream &out, const Step &step) {
  static const char *const kWords[]{"create", "start",   "stop", "remove", "force",
                                    "pause",  "unpause", "die",  "volume", "trash"};
  return out << kWords[step.what] << " n" << step.who << " " << step.how;
}

rc::Gen<std::vector<Step>> histories() {
  return rc::gen::container<std::vector<Step>>(
      rc::gen::construct<Step>(rc::gen::inRange(0, kKinds), rc::gen::inRange(0, 5), rc::gen::inRange(0, 3)));
}

std::string specOf(const Step &step) {
  const std::string name = "n" + std::to_string(step.who), how = std::to_string(step.how);
  return R"({"name":")" + name + R"(","image":"demo:1","restart":"on-failure","labels":{"who":")" + name +
         R"(","how":")" + how + R"(","matrixos.spec-hash":")" + how + R"("},"networks":[{"name":"net)" + how +
         R"("}],"ports":[{"name":"gateway","containerPort":4000,"hostPort":)" + std::to_string(4001 + step.how) + "}]}";
}

/// Does it; whether it was allowed is part of the outcome.
std::string apply(Rig &rig, const Step &step) {
  const std::string name = "n" + std::to_string(step.who);
  try {
    switch (step.what) {
    case 0:
      return rig.client.create(rig.call(), specOf(step));
    case 1:
      rig.client.start(rig.call(), name);
      break;
    case 2:
      rig.client.stop(rig.call(), name, std::chrono::milliseconds{step.how * 100});
      break;
    case 3:
    case 4:
      rig.client.remove(rig.call(), name,
                        (step.what == 4 ? MOS_REMOVE_FORCE : 0) | (step.how == 2 ? MOS_REMOVE_UNUSED_NETWORKS : 0));
      break;
    case 5:
      rig.client.pause(rig.call(), name);
      break;
    case 6:
      rig.client.unpause(rig.call(), name);
      break;
    case 7:
      rig.engine.die(name, step.how, step.how == 2);
      break;
    case 8:
      return rig.client.volumeEnsure(rig.call(), R"({"name":")" + name + R"("})");
    default:
      rig.client.volumeTrash(rig.call(), name, "bin" + std::to_string(step.how));
    }
    return "OK";
  } catch (const Error &e) {
    return statusName(e.status());
  }
}

EngineOptions portsToo(const std::filesystem::path &stateDir = {}) {
  EngineOptions options;
  options.ports = true;
  options.stateDir = stateDir;
  return options;
}

/// Names, refs, addresses and bound host ports are unique; the states are consistent with the rest.
void checkInvariants(Rig &rig) {
  std::set<std::string> names, refs, addresses;
  std::set<std::int64_t> hostPorts;
  std::size_t up = 0, total = 0;
  rig.engine.list({}, [&](std::string_view item) {
    const auto object = json::parseObject(item);
    const std::string state = json::getString(*object, "state"), ref = json::getString(*object, "ref");
    const bool isUp = state == "running" || state == "paused";
    ++total;
    up += isUp ? 1 : 0;
    RC_ASSERT(names.insert(json::getString(*object, "name")).second);
    RC_ASSERT(refs.insert(ref).second);
    const auto endpoints = json::findArray(*object, "endpoints");
    RC_ASSERT((endpoints->size() > 0) == isUp);
    for (unsigned i = 0; i < endpoints->size(); ++i) {
      const auto endpoint = endpoints->getObject(i);
      RC_ASSERT(json::getString(*endpoint, "epoch").rfind(ref, 0) == 0);
      if (json::getString(*endpoint, "scope") == "host")
        RC_ASSERT(hostPorts.insert(json::getInt(*endpoint, "port", 0)).second);
      else
        RC_ASSERT(addresses.insert(json::getString(*endpoint, "address")).second);
    }
    RC_ASSERT((json::getInt(*object, "startedAt", 0) == 0) == (state == "created"));
    return true;
  });
  const auto counts = rig.engine.counts();
  RC_ASSERT(counts[0] + counts[1] + counts[2] + counts[3] == total);
  RC_ASSERT(counts[1] + counts[2] == up);
  // Each label finds exactly its own.
  std::size_t found = 0;
  for (int who = 0; who < 5; ++who)
    found += rig.engine.count({{"who", "n" + std::to_string(who)}});
  RC_ASSERT(found == total);
  for (int how = 0; how < 3; ++how)
    found -= rig.engine.count({{"how", std::to_string(how)}});
  RC_ASSERT(found == 0U);
}

} // namespace

TEST_CASE("random histories keep the invariants") {
  CHECK(rc::check("invariants", [] {
    Rig rig(portsToo());
    rig.pull();
    for (const Step &step : *histories()) {
      apply(rig, step);
      checkInvariants(rig);
    }
  }));
}

TEST_CASE("random histories: the same twice, and the same after a restart at any point") {
  CHECK(rc::check("determinism and persistence", [] {
    const auto steps = *histories();
    const auto half = static_cast<std::ptrdiff_t>(*rc::gen::inRange<std::size_t>(0, steps.size() + 1));
    const matrixos::test::TempDir dir;
    Rig straight(portsToo());
    straight.pull();
    std::vector<std::string> outcomes, again;
    for (const Step &step : steps)
      outcomes.push_back(apply(straight, step));
    {
      Rig first(portsToo(dir / "s"));
      first.pull();
      std::for_each(steps.begin(), steps.begin() + half,
                    [&](const Step &step) { again.push_back(apply(first, step)); });
    }
    Rig second(portsToo(dir / "s"));
    std::for_each(steps.begin() + half, steps.end(), [&](const Step &step) { again.push_back(apply(second, step)); });
    RC_ASSERT(outcomes == again);
    checkInvariants(second);
  }));
}

TEST_CASE("two engines of one seed and one history: the same events, refs, addresses, digests and times") {
  const auto history = [](std::uint64_t seed) {
    EngineOptions options = portsToo();
    options.seed = seed;
    Rig rig(options, EngineClock::Mode::Virtual, seed);
    Pace pace;
    for (Latency &latency : pace.latency)
      latency = Latency::parse("1ms..500ms");
    rig.runtime.setPace(pace);
    rig.faults.replace(FaultScript::Source::Config, {FaultRule::parseLine("* internal probability=0.1"),
                                                     FaultRule::parseLine("start lost_reply every=7")});
    std::string log;
    const auto note = [&](const std::string &line) { log += std::to_string(rig.clock.nowMs()) + " " + line + "\n"; };
    note(ending([&] { rig.pull(); }));
    note(ending([&] { rig.pull(); }));
    for (int i = 0; i < 500; ++i) {
      const auto n = numberAt(42, 0, static_cast<std::uint64_t>(i));
      note(apply(rig, {static_cast<int>(n % kKinds), static_cast<int>(n / 16 % 5), static_cast<int>(n / 256 % 3)}));
    }
    return log + dump(rig.engine);
  };
  const std::string once = history(1);
  CHECK(once.size() > 10'000);
  CHECK(history(1) == once);
  CHECK(history(2) != once);
}
