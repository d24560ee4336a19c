/// The kit judged: a runtime that breaks one rule fails the cases of that rule and no other.
#include "support/DaemonProcess.h"
#include "support/Process.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace matrixos::test;

namespace {

struct Fault {
  std::string name;
  std::set<std::string> failing;
  bool exact = true; ///< nothing else fails; false where the fault is beneath everything else
};

/// What has to fail.
const std::vector<Fault> kFaults{
    {"", {}},
    {"forgets-operation", {"idempotency.operation-label", "labels.kept"}},
    {"forgets-hash", {"idempotency.same-spec", "labels.kept"}},
    {"adopts-anything", {"idempotency.name-in-use", "idempotency.empty-ids", "concurrency.name-race", "labels.kept"}},
    {"loses-label", {"labels.kept"}},
    {"mangles-unicode", {"labels.unicode", "labels.escaped"}},
    {"any-label", {"labels.all-match", "labels.exact", "labels.quoting", "labels.unicode", "labels.empty-value"}},
    {"starts-at-create", {"lifecycle.by-ref", "lifecycle.description"}, false},
    {"start-does-nothing", {"lifecycle.by-ref", "idempotency.repeated", "concurrency.one-instance"}, false},
    {"crashes-in-start", {"lifecycle.by-ref", "concurrency.storm"}, false},
    {"stop-needs-presence", {"idempotency.absent"}},
    {"removes-what-runs", {"lifecycle.remove-running"}},
    {"refs-only", {"lifecycle.by-name"}, false},
    {"no-created-time", {"lifecycle.description", "list.as-inspect"}},
    {"loses-an-item", {"list.complete"}},
    {"lists-twice", {"list.complete"}},
    {"ignores-stop", {"list.stop", "errors.sink"}},
    {"no-message", {"errors.message"}},
    {"cut-message", {"errors.message"}},
    {"bad-reason", {"errors.reason"}},
    {"other-status", {"errors.status"}},
    {"touches-buffer", {"errors.buffer"}},
    {"started-late", {"events.order"}},
    {"unfiltered-events", {"events.filter"}},
    {"deaf-events", {"cancel.events", "cancel.events-without-fd", "cancel.events-deadline", "events.two-subscribers"}},
    {"one-epoch", {"endpoints.epoch", "endpoints.shape"}},
    {"endpoint-when-stopped", {"endpoints.running"}},
    {"promises-pause", {"pause.cycle", "pause.stop", "pause.not-running"}},
    {"no-limit", {"limits.visible"}},
    {"describes-before", {"lifecycle.start-described"}},
    {"io-in-create", {"host.create-cheap"}},
    {"leaks-a-file", {"host.cycles"}},
    {"leaks-a-thread", {"host.stop", "host.cycles"}},
    {"calls-after-stop", {"host.stop"}},
    {"null-function", {"host.provides"}},
};

std::set<std::string> failing(const nlohmann::json &report) {
  std::set<std::string> ids;
  for (const nlohmann::json &one : report["cases"]) {
    if (one["result"] == "fail") ids.insert(one["id"].get<std::string>());
  }
  return ids;
}

std::string words(const std::set<std::string> &ids) {
  std::string text;
  for (const std::string &id : ids)
    text += id + " ";
  return text.empty() ? "none" : text;
}

} // namespace

namespace {

struct Judged {
  std::set<std::string> failing;
  int status = -1;
  std::string out;
};

/// What a sanitizer is told by its variable, and that signals end the process as they do without one.
std::string withSignals(const std::string &name) {
  const char *set = std::getenv(name.c_str());
  return name + "=" + (set != nullptr ? std::string(set) + ":" : "") + "handle_segv=0:handle_abort=0";
}

Finished runKit(const std::string &fault, const std::filesystem::path &report, const std::string &pattern = "*") {
  return run({"/usr/bin/env", withSignals("ASAN_OPTIONS"), withSignals("TSAN_OPTIONS"),
              (buildDir() / "bin/matrixos-runtime-conformance").string(),
              (buildDir() / "test-plugins/runtime-broken.so").string(), "--set", "runtime-broken.fault=" + fault,
              "--set", "conformance.promptness=2s", "--json", report.string(), "--case", pattern},
             "", std::chrono::seconds{240});
}

Judged judge(const Fault &fault, const std::filesystem::path &report) {
  Judged judged;
  const Finished finished = runKit(fault.name, report);
  judged.status = finished.status;
  judged.out = finished.out;
  if (std::filesystem::exists(report)) judged.failing = failing(nlohmann::json::parse(readFile(report)));
  return judged;
}

} // namespace

TEST_CASE("each broken rule fails its own cases and no other") {
  const TempDir dir;
  std::vector<Judged> judged(kFaults.size());
  // Most of a run is waiting: for what must not come, and for calls that hang.
  std::atomic<std::size_t> next{0};
  std::vector<std::thread> workers;
  for (int i = 0; i < 4; ++i) {
    workers.emplace_back([&] {
      for (std::size_t at = next++; at < kFaults.size(); at = next++)
        judged[at] = judge(kFaults[at], dir / ("report-" + std::to_string(at)));
    });
  }
  for (std::thread &worker : workers)
    worker.join();
  for (std::size_t at = 0; at < kFaults.size(); ++at) {
    const Fault &fault = kFaults[at];
    const std::set<std::string> &ids = judged[at].failing;
    CAPTURE(fault.name);
    const bool all = std::includes(ids.begin(), ids.end(), fault.failing.begin(), fault.failing.end());
    const bool good = all && (!fault.exact || ids == fault.failing);
    CHECK_MESSAGE(good, "expected ", words(fault.failing), ", came ", words(ids), "\n", judged[at].out);
    CHECK(judged[at].status == (fault.failing.empty() ? 0 : 1));
  }
}

TEST_CASE("of a runtime that ends its process the case and the call are told, and the other cases are judged") {
  struct Death {
    const char *fault, *in, *with, *pattern;
    std::set<std::string> failing;
  };
  const std::vector<Death> deaths{
      {"segv-in-pause",
       "pause(\"",
       "signal 11",
       "pause,lifecycle.by-ref",
       {"pause.cycle", "pause.stop", "pause.not-running"}},
      {"exit-in-stats", "stats(\"", "exit status 3", "limits.visible,lifecycle.by-ref", {"limits.visible"}},
      {"abort-in-plugin-start",
       "start() of the plugin",
       "signal 6",
       "lifecycle.by-ref,list.complete",
       {"lifecycle.by-ref", "list.complete"}},
      {"segv-in-plugin-stop", "stop() of the plugin", "signal 11", "lifecycle.by-ref", {"host.process"}},
      {"quit-in-plugin-stop", "stop() of the plugin", "exit status 1", "lifecycle.by-ref", {"host.process"}},
  };
  const TempDir dir;
  for (const Death &death : deaths) {
    CAPTURE(std::string(death.fault));
    const Finished finished = runKit(death.fault, dir / death.fault, death.pattern);
    CAPTURE(finished.out);
    CHECK(finished.status == 1);
    const nlohmann::json report = nlohmann::json::parse(readFile(dir / death.fault));
    CHECK_MESSAGE(failing(report) == death.failing, words(failing(report)));
    for (const nlohmann::json &one : report["cases"]) {
      if (one["result"] != "fail") continue;
      const std::string in = one["died"]["in"], with = one["died"]["with"], got = one["got"];
      CHECK_MESSAGE(in.find(death.in) == 0, in);
      CHECK_MESSAGE(with.find(death.with) == 0, with);
      CHECK(got == "the plugin ended its process with " + with + " in " + in);
      CHECK(one["calls"].back() == in);
    }
    const std::size_t times = death.failing.size();
    CHECK(finished.out.find("; the plugin ended its process " +
                            (times == 1 ? "once" : std::to_string(times) + " times")) != std::string::npos);
  }
}
