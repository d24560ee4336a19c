/// Faults: every call × every effect, and when rules strike.
#include "FaultFile.h"
#include "Rig.h"
#include "support/TempDir.h"
#include "support/Wait.h"

#include <map>
#include <thread>

using namespace matrixos;
using namespace matrixos::simulated;
using namespace matrixos::simulated::test;
using namespace std::chrono_literals;

namespace {

const ItemFn kTakeAll = [](std::string_view) { return true; };

/// Does the call once on a running container "matrixos-a" with the volume "vol"; `call` may be null.
std::string perform(Rig &rig, CallKind kind, const mos_call *call) {
  const std::string fresh = R"({"name":"matrixos-new","image":"demo:1"})";
  return ending([&] {
    switch (kind) {
    case CallKind::Capabilities:
      return void(json::parseObject(rig.client.capabilities(call)));
    case CallKind::Pull:
      return void(json::parseObject(rig.client.pull(call, R"({"image":"demo:1","policy":"always"})", kTakeAll)));
    case CallKind::Create:
      return void(json::parseObject(rig.client.create(call, fresh)));
    case CallKind::Start:
      return rig.client.start(call, "matrixos-idle");
    case CallKind::Stop:
      return rig.client.stop(call, "matrixos-a", 1s);
    case CallKind::Remove:
      return rig.client.remove(call, "matrixos-a", MOS_REMOVE_FORCE);
    case CallKind::Inspect:
      return void(json::parseObject(rig.client.inspect(call, "matrixos-a")));
    case CallKind::List:
      return rig.client.list(call, "{}", kTakeAll);
    case CallKind::Logs:
      return rig.client.logs(call, "matrixos-a", "{}", kTakeAll);
    case CallKind::Stats:
      return void(json::parseObject(rig.client.stats(call, "matrixos-a")));
    case CallKind::Pause:
      return rig.client.pause(call, "matrixos-a");
    case CallKind::Unpause:
      return rig.client.unpause(call, "matrixos-a");
    case CallKind::Events:
      return rig.client.events(call, "{}", kTakeAll);
    case CallKind::VolumeEnsure:
      return void(json::parseObject(rig.client.volumeEnsure(call, R"({"name":"vol2"})")));
    case CallKind::VolumeTrash:
      return rig.client.volumeTrash(call, "vol", "bin");
    case CallKind::VolumeSnapshot:
      return rig.client.volumeSnapshot(call, "vol", "copy");
    case CallKind::VolumeRemoveIfEmpty:
      return rig.client.volumeRemoveIfEmpty(call, "vol");
    case CallKind::Endpoints:
      return void(json::parse(rig.client.endpoints(call, "matrixos-a")));
    }
  });
}

void furnish(Rig &rig) {
  rig.started("matrixos-a");
  rig.made("matrixos-idle");
  rig.client.volumeEnsure(rig.call(), R"({"name":"vol"})");
}

FaultRule rule(const std::string &line) {
  return FaultRule::parseLine(line);
}

} // namespace

TEST_CASE("every call × every effect without effect: the status as promised, and nothing has changed") {
  const std::map<std::string, std::string> statuses{
      {"not_found", "NOT_FOUND CONTAINER_NOT_FOUND"},
      {"already_exists", "ALREADY_EXISTS NAME_IN_USE"},
      {"port_in_use", "ABORTED PORT_IN_USE"},
      {"denied", "PERMISSION_DENIED ENGINE_DENIED"},
      {"internal", "INTERNAL"},
      {"unavailable", "UNAVAILABLE ENGINE_UNREACHABLE"},
      {"hang", "DEADLINE_EXCEEDED"},
  };
  for (std::size_t i = 0; i < kCallNames.size(); ++i) {
    for (const auto &expected : statuses) {
      const std::string &effect = expected.first, &status = expected.second;
      CAPTURE(kCallNames[i]);
      CAPTURE(effect);
      Rig rig;
      furnish(rig);
      const std::string before = dump(rig.engine);
      rig.faults.replace(FaultScript::Source::Control, {rule(std::string(kCallNames[i]) + " " + effect + " times=1")});
      const std::string end = perform(rig, static_cast<CallKind>(i), rig.call());
      const bool pull = static_cast<CallKind>(i) == CallKind::Pull;
      if (pull && effect == "not_found")
        CHECK(end == "NOT_FOUND IMAGE_NOT_FOUND");
      else if (pull && effect == "denied")
        CHECK(end == "PERMISSION_DENIED IMAGE_DENIED");
      else
        CHECK(end == status);
      CHECK(dump(rig.engine) == before);
      // The rule is used up: the same call now does what it always did.
      if (static_cast<CallKind>(i) != CallKind::Events)
        CHECK(perform(rig, static_cast<CallKind>(i), rig.call()) == "OK");
    }
  }
}

TEST_CASE("every mutation × lost reply: UNAVAILABLE, and the effect is there") {
  for (const CallKind kind :
       {CallKind::Create, CallKind::Start, CallKind::Stop, CallKind::Remove, CallKind::Pause, CallKind::VolumeEnsure,
        CallKind::VolumeTrash, CallKind::VolumeSnapshot, CallKind::VolumeRemoveIfEmpty, CallKind::Pull}) {
    CAPTURE(nameOf(kind));
    Rig honest, lossy;
    for (Rig *rig : {&honest, &lossy}) {
      furnish(*rig);
      if (kind == CallKind::Pull) rig->engine.publishImage("demo:1");
    }
    lossy.faults.replace(FaultScript::Source::Control, {rule(std::string(nameOf(kind)) + " lost_reply")});
    CHECK(perform(honest, kind, honest.call()) == "OK");
    CHECK(perform(lossy, kind, lossy.call()) == "UNAVAILABLE ENGINE_UNREACHABLE");
    CHECK(dump(lossy.engine) == dump(honest.engine));
  }
}

TEST_CASE("half a body: half of the items and then a failure, or half of the JSON as a success") {
  Rig rig;
  for (int i = 0; i < 10; ++i)
    rig.started("matrixos-" + std::to_string(i));
  rig.faults.replace(FaultScript::Source::Control, {rule("list half_list"), rule("inspect half_reply"),
                                                    rule("logs half_list"), rule("pull half_list")});
  int seen = 0;
  const auto count = [&](std::string_view) { return ++seen > 0; };
  CHECK(ending([&] { rig.client.list(rig.call(), "{}", count); }) == "UNAVAILABLE ENGINE_REPLY");
  CHECK(seen == 5);
  CHECK(ending([&] { rig.inspect("matrixos-1"); }) == "INVALID_ARGUMENT BAD_JSON");
  CHECK(ending([&] { rig.client.logs(rig.call(), "matrixos-1", "{}", kTakeAll); }) == "UNAVAILABLE ENGINE_REPLY");
  CHECK(ending([&] { rig.client.pull(rig.call(), R"({"image":"new:1"})", kTakeAll); }) == "UNAVAILABLE ENGINE_REPLY");
  CHECK_FALSE(rig.engine.findImage("new:1"));
}

TEST_CASE("exit: a start that ends at once") {
  Rig rig;
  rig.faults.replace(FaultScript::Source::Control, {rule("start exit")});
  const std::string ref = rig.made("matrixos-a");
  CHECK(ending([&] { rig.client.start(rig.call(), ref); }) == "FAILED_PRECONDITION EXITED_AT_START");
  CHECK(rig.state(ref) == "exited");
}

TEST_CASE("hang: for real it heeds cancellation; for ever it heeds nothing until it is let go") {
  Rig rig(EngineOptions{}, EngineClock::Mode::Real);
  furnish(rig);
  rig.faults.replace(FaultScript::Source::Control, {rule("stop hang"), rule("inspect hang_forever")});
  CallScope scope(std::chrono::minutes{5});
  std::string end, endOfOther;
  std::thread caller([&] { end = ending([&] { rig.client.stop(scope.abi(), "matrixos-a", 1s); }); });
  scope.cancel();
  caller.join();
  CHECK(end == "CANCELLED");

  CallScope brief(std::chrono::minutes{5});
  std::thread stuck([&] { endOfOther = ending([&] { rig.client.inspect(brief.abi(), "matrixos-a"); }); });
  REQUIRE(matrixos::test::eventually([&] { return rig.clock.hanging() == 1; }));
  brief.cancel();
  rig.clock.shutdown();
  CHECK(rig.clock.hanging() == 1);
  CHECK(rig.clock.release() == 1);
  stuck.join();
  CHECK(endOfOther == "UNAVAILABLE RELEASED");
}

TEST_CASE("rules strike when they say: nth, every, times, probability, by name") {
  const auto strikes = [](const std::string &line, const std::vector<std::string> &subjects) {
    FaultScript script(7);
    script.replace(FaultScript::Source::Config, {rule(line)});
    std::string pattern;
    for (const std::string &subject : subjects)
      pattern += script.decide(CallKind::Create, subject) ? 'x' : '.';
    return pattern;
  };
  const std::vector<std::string> same(8, "matrixos-a");
  CHECK(strikes("create internal", same) == "xxxxxxxx");
  CHECK(strikes("* internal", same) == "xxxxxxxx");
  CHECK(strikes("start internal", same) == "........");
  CHECK(strikes("create internal nth=3", same) == "..x.....");
  CHECK(strikes("create internal every=3", same) == "..x..x..");
  CHECK(strikes("create internal times=2", same) == "xx......");
  CHECK(strikes("create internal every=2 times=1", same) == ".x......");
  const std::vector<std::string> two{"matrixos-a1", "matrixos-b", "matrixos-a2", "matrixos-b", "matrixos-a3"};
  CHECK(strikes("create internal name=matrixos-a*", two) == "x.x.x");
  CHECK(strikes("create internal name=matrixos-a* nth=2", two) == "..x..");
  CHECK(strikes("create internal name=matrixos-?", two) == ".x.x.");
  CHECK(strikes("create internal name=nobody", two) == ".....");
  const std::vector<std::string> many(2000, "a");
  const std::string chance = strikes("create internal probability=0.25", many);
  const auto hits = std::count(chance.begin(), chance.end(), 'x');
  CHECK(hits > 400);
  CHECK(hits < 600);
  CHECK(strikes("create internal probability=0.25", many) == chance);
}

TEST_CASE("the first rule that strikes decides, and every rule counts") {
  FaultScript script(1);
  script.replace(FaultScript::Source::Config, {rule("create internal")});
  script.append(FaultScript::Source::Control, {rule("create denied nth=2")});
  CHECK(script.decide(CallKind::Create, "")->effect == Effect::Internal);
  CHECK(script.decide(CallKind::Create, "")->effect == Effect::Denied);
  CHECK(script.decide(CallKind::Create, "")->effect == Effect::Internal);
  const std::string json = script.json();
  CHECK(json.find(R"("source":"control","call":"create","effect":"denied","nth":2,"matched":3,"struck":1)") !=
        std::string::npos);
  CHECK(json.find(R"("source":"config","call":"create","effect":"internal","matched":3,"struck":2)") !=
        std::string::npos);
}

TEST_CASE("a script says the same as JSON and as lines") {
  const auto parsed = FaultRule::parseJson(R"({"rules": [
    {"call": "create", "match": {"name": "matrixos-a*"}, "nth": 3, "effect": "lost_reply"},
    {"call": "list", "every": 10, "effect": "half_list"},
    {"probability": 0.01, "effect": "internal", "message": "boom"},
    {"call": "start", "effect": "slow", "delayMs": 500, "times": 2}]})");
  const std::vector<FaultRule> lines{rule("create lost_reply name=matrixos-a* nth=3"), rule("list half_list every=10"),
                                     rule("* internal probability=0.01"), rule("start slow delay=500ms times=2")};
  REQUIRE(parsed.size() == lines.size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    CHECK(parsed[i].call == lines[i].call);
    CHECK(parsed[i].match == lines[i].match);
    CHECK(parsed[i].effect == lines[i].effect);
    CHECK(parsed[i].nth == lines[i].nth);
    CHECK(parsed[i].every == lines[i].every);
    CHECK(parsed[i].times == lines[i].times);
    CHECK(parsed[i].probability == lines[i].probability);
    CHECK(parsed[i].delay == lines[i].delay);
  }
  CHECK(parsed[2].message == "boom");
}

TEST_CASE("a rule that makes no sense is refused with what there is") {
  const auto line = [](const std::string &text) { return ending([&] { rule(text); }); };
  const auto json = [](const std::string &text) { return ending([&] { FaultRule::parseJson(text); }); };
  const std::string bad = "INVALID_ARGUMENT BAD_FAULT";
  for (const char *text :
       {"", "create", "creat internal", "create intern", "create internal nth", "create internal nth=0",
        "create internal nth=x", "create internal probability=2", "create internal foo=1",
        "create internal nth=1 every=2", "create exit", "* exit", "create half_list", "start slow"}) {
    CAPTURE(text);
    CHECK(line(text) == bad);
  }
  CHECK(line("start slow delay=5") == "INVALID_ARGUMENT BAD_DURATION");
  for (const char *text : {"{}", "[5]", R"(["x"])", R"([{"call":"create"}])", R"([{"effect":"internal","calls":"x"}])",
                           R"([{"effect":"internal","nth":0}])", R"([{"effect":"internal","match":{"label":"x"}}])",
                           R"([{"effect":"slow"}])", R"([{"effect":"internal","probability":0}])"}) {
    CAPTURE(text);
    const std::string end = json(text);
    CHECK((end == bad || end == "INVALID_ARGUMENT BAD_FIELD"));
  }
  CHECK(json("[") == "INVALID_ARGUMENT BAD_JSON");
}

TEST_CASE("a fault file counts from the next call on; a broken one leaves the old rules and says why") {
  const matrixos::test::TempDir dir;
  FaultScript script(1);
  std::string problem = "never told";
  FaultFile file(dir / "faults.json", script, [&](const std::string &text) { problem = text; });
  const auto effect = [&] {
    file.refresh();
    const auto fault = script.decide(CallKind::Create, "");
    return fault ? std::string(nameOf(fault->effect)) : "none";
  };
  CHECK(effect() == "none");
  matrixos::test::writeFile(dir / "faults.json", R"([{"call":"create","effect":"internal"}])");
  CHECK(effect() == "internal");
  CHECK(problem.empty());
  matrixos::test::writeFile(dir / "faults.json", R"([{"call":"create","effect":"intern)");
  CHECK(effect() == "internal");
  CHECK(problem.find("faults.json") != std::string::npos);
  matrixos::test::writeFile(dir / "faults.json", R"({"rules":[{"call":"*","effect":"unavailable"}]})");
  CHECK(effect() == "unavailable");
  CHECK(problem.empty());
  std::filesystem::remove(dir / "faults.json");
  CHECK(effect() == "none");
}
