/// limits: what an instance may use.
#include "Cases.h"

namespace matrixos::conformance {

namespace {

constexpr const char *kSpec = "runtime.h: instance spec, \"memoryBytes\", \"cpus\", \"pidsLimit\", \"restart\"";

void accepted(CaseSession &t) {
  for (const char *restart : {"no", "always", "unless-stopped", "on-failure"}) {
    Json spec = t.spec(t.name());
    spec["memoryBytes"] = 96 * 1024 * 1024;
    spec["cpus"] = 0.25;
    spec["pidsLimit"] = 64;
    spec["restart"] = restart;
    t.create(spec);
  }
  Json bare = t.spec(t.name());
  for (const char *key : {"memoryBytes", "cpus", "pidsLimit", "restart", "env", "ports"})
    bare.erase(key);
  const std::string ref = t.running(bare);
  t.expectState(ref, {"running"}, "start() of a spec without limits");
}

void visible(CaseSession &t) {
  t.need("stats");
  Json spec = t.spec(t.name());
  spec["memoryBytes"] = 96 * 1024 * 1024;
  const std::string ref = t.running(spec);
  const Answer answer = t.rt().stats(ref, t.how());
  t.unlessUnimplemented(answer, "stats", "stats");
  t.ok(answer, "stats() of what runs");
  if (textOf(t.capabilities(), "isolation") == "process" && answer.json.value("memoryLimitBytes", 0LL) == 0)
    t.skip("this process runtime enforces no memory limit here (memoryLimitBytes is 0)");
  t.expect(answer.json.value("memoryLimitBytes", 0LL) == 96LL * 1024 * 1024, "\"memoryLimitBytes\": 100663296",
           answer.text(), "runtime.h stats(): \"memoryLimitBytes\"");
}

void bad(CaseSession &t) {
  const auto refuse = [&](const char *key, const Json &value) {
    Json spec = t.spec(t.name());
    spec[key] = value;
    t.refused(t.rt().create(spec.dump(), t.creating(spec)), {MOS_INVALID_ARGUMENT},
              std::string("create() with \"") + key + "\": " + value.dump(), kSpec);
  };
  refuse("memoryBytes", -1);
  refuse("memoryBytes", "lots");
  refuse("memoryBytes", 1.5);
  refuse("cpus", -0.5);
  refuse("cpus", "all");
  refuse("pidsLimit", -5);
  refuse("pidsLimit", Json::array());
  refuse("restart", "sometimes");
  refuse("restart", true);
}

} // namespace

void addLimits(CaseList &list) {
  list.push_back({"limits.accepted", "limits, and their absence, are accepted", kSpec, kOptional, accepted});
  list.push_back(
      {"limits.visible", "stats() tells the memory limit of the spec", "runtime.h stats()", kOptional, visible});
  list.push_back({"limits.bad", "values that mean nothing are INVALID_ARGUMENT", kSpec, kOptional, bad});
}

} // namespace matrixos::conformance
