/// lifecycle: create, start, inspect, stop, start, remove, and what a description says.
#include "Cases.h"

#include <matrixos/address.hpp>

#include <set>

namespace matrixos::conformance {

namespace {

const std::vector<std::string> kStopped{"exited", "dead"};

void wholeLife(CaseSession &t, bool byName) {
  const Json spec = t.spec(t.name());
  const std::string created = t.create(spec);
  const std::string ref = byName ? textOf(spec, "name") : created;
  t.expectState(ref, {"created"}, "create(), which does not start");
  t.start(ref);
  t.expectState(ref, {"running"}, "start(), which returns once it runs");
  t.stop(ref);
  t.expectState(ref, kStopped, "stop()");
  t.start(ref);
  t.expectState(ref, {"running"}, "a second start()");
  t.stop(ref);
  t.remove(ref, 0);
  t.expectGone(ref, "remove()");
}

void capabilities(CaseSession &t) {
  const Json &all = t.capabilities();
  for (const char *key : {"engine", "isolation"})
    t.expect(!textOf(all, key).empty(), std::string("a text in \"") + key + "\"", all.dump());
  for (const char *key : {"publishesPorts", "pause", "volumes", "stats"}) {
    const auto found = all.find(key);
    t.expect(found != all.end() && found->is_boolean(), std::string("true or false in \"") + key + "\"", all.dump());
  }
  const std::string isolation = textOf(all, "isolation");
  t.expect(std::set<std::string>{"container", "process", "simulated"}.count(isolation) == 1,
           "isolation container, process or simulated", isolation);
  if (const auto found = all.find("hostGateway"); found != all.end())
    t.expect(found->is_string() && Address::tryIp(found->get<std::string>(), 0).has_value(),
             "an IP address in \"hostGateway\", or none", all.dump());
}

void description(CaseSession &t) {
  const Json spec = t.spec(t.name());
  const std::string ref = t.create(spec);
  const Json before = t.inspect(ref);
  t.expect(textOf(before, "ref") == ref, "\"ref\" as create() gave it: " + ref, textOf(before, "ref"));
  t.expect(textOf(before, "name") == textOf(spec, "name"), "\"name\": " + textOf(spec, "name"), textOf(before, "name"));
  t.expect(textOf(before, "image").find(t.options().image.substr(0, t.options().image.find(':'))) != std::string::npos,
           "\"image\" names " + t.options().image, textOf(before, "image"));
  t.expect(before.contains("createdAt") && before["createdAt"].is_number() && before["createdAt"].get<double>() > 1e12,
           "\"createdAt\" in milliseconds since the epoch", before.dump());
  t.expect(before.contains("startedAt") && before["startedAt"] == 0, "\"startedAt\": 0 before the first start",
           before.dump());
  t.start(ref);
  const Json after = t.inspect(ref);
  t.expect(after.contains("startedAt") && after["startedAt"].is_number() && after["startedAt"].get<double>() > 1e12,
           "\"startedAt\" in milliseconds since the epoch, once started", after.dump());
  t.expect(after.contains("endpoints") && after["endpoints"].is_array(), "an array in \"endpoints\"", after.dump());
  t.expect(after.contains("exitCode") && after["exitCode"].is_number_integer(), "a number in \"exitCode\"",
           after.dump());
  t.expect(after.contains("oomKilled") && after["oomKilled"].is_boolean(), "true or false in \"oomKilled\"",
           after.dump());
  const std::string health = textOf(after, "health");
  t.expect(std::set<std::string>{"none", "starting", "healthy", "unhealthy"}.count(health) == 1,
           "health none, starting, healthy or unhealthy", health);
}

void removeRunning(CaseSession &t) {
  const std::string ref = t.running(t.spec(t.name()));
  const Answer answer = t.rt().remove(ref, 0, t.how(t.operation()));
  t.expect(!answer.ok(), "a refusal of remove() without MOS_REMOVE_FORCE while it runs", answer.text());
  t.expectState(ref, {"running"}, "a refused remove()");
  t.remove(ref, MOS_REMOVE_FORCE);
  t.expectGone(ref, "remove() with MOS_REMOVE_FORCE");
}

void unknownMembers(CaseSession &t) {
  Json spec = t.spec(t.name());
  spec["fromTheFuture"] = {{"deep", {1, 2, 3}}};
  const std::string ref = t.create(spec);
  t.expectState(ref, {"created"}, "create() with a member nobody knows");
}

void startDescribed(CaseSession &t) {
  const std::string ref = t.create(t.spec(t.name()));
  const Answer answer = t.rt().startDescribed(ref, t.how(t.operation()));
  t.unlessUnimplemented(answer, "start_described");
  t.ok(answer, "start_described()");
  const Json now = t.inspect(ref);
  for (const char *key : {"ref", "name", "state", "image", "labels", "createdAt", "startedAt", "endpoints"})
    t.expect(answer.json.value(key, Json()) == now.value(key, Json()),
             std::string("\"") + key + "\" as in " + now.dump(), answer.out);
  t.expectState(ref, {"running"}, "start_described()");
  t.ok(t.rt().startDescribed(ref, t.how(t.operation())), "start_described() of what runs");
}

void nameIsFreeAgain(CaseSession &t) {
  const std::string name = t.name();
  t.remove(t.running(t.spec(name, "a")));
  const std::string ref = t.running(t.spec(name, "b"));
  t.expectState(name, {"running"}, "create() and start() under a name that was removed");
  t.expect(textOf(t.inspect(name), "ref") == ref, "the new instance under the name", t.inspect(name).dump());
}

} // namespace

void addLifecycle(CaseList &list) {
  list.push_back({"lifecycle.capabilities", "capabilities tell engine, isolation and what is offered",
                  "runtime.h capabilities(): {\"engine\", \"engineVersion\", \"publishesPorts\", …}", kCore,
                  capabilities});
  list.push_back({"lifecycle.by-ref", "create, start, stop, start, stop, remove, each seen by inspect()",
                  "runtime.h create(), start(), stop(), remove(), inspect()", kCore,
                  [](CaseSession &t) { wholeLife(t, false); }});
  list.push_back({"lifecycle.by-name", "every call that takes a ref takes the name from the spec",
                  "runtime.h: every call that takes a ref also takes the name", kCore,
                  [](CaseSession &t) { wholeLife(t, true); }});
  list.push_back({"lifecycle.description", "inspect() describes what was created",
                  "runtime.h: description, the answer of inspect()", kCore, description});
  list.push_back({"lifecycle.remove-running", "what runs is removed by force only",
                  "runtime.h MOS_REMOVE_FORCE: also when it runs", kCore, removeRunning});
  list.push_back({"lifecycle.unknown-members", "members of the future are ignored",
                  "runtime.h: unknown members are ignored by both sides", kCore, unknownMembers});
  list.push_back({"lifecycle.name-again", "a removed instance's name can be used for another",
                  "runtime.h remove(): removes the container", kCore, nameIsFreeAgain});
  list.push_back({"lifecycle.start-described", "a start answers what inspect() says right after it",
                  "runtime.h start_described()", kOptional, startDescribed});
}

} // namespace matrixos::conformance
