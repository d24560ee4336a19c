/// pause, stats, logs: offered or not, as the capabilities say.
#include "Cases.h"

#include <algorithm>
#include <chrono>
#include <thread>

namespace matrixos::conformance {

namespace {

constexpr const char *kPause = "runtime.h pause(): freeze and thaw; paused or running already is success";

void pauseCycle(CaseSession &t) {
  t.need("pause");
  const std::string ref = t.running(t.spec(t.name()));
  const Answer answer = t.rt().pause(ref, t.how(t.operation()));
  t.unlessUnimplemented(answer, "pause", "pause");
  t.ok(answer, "pause() of what runs");
  t.expectState(ref, {"paused"}, "pause()");
  t.ok(t.rt().pause(ref, t.how(t.operation())), "pause() of what is paused", kPause);
  t.ok(t.rt().unpause(ref, t.how(t.operation())), "unpause() of what is paused");
  t.expectState(ref, {"running"}, "unpause()");
  t.ok(t.rt().unpause(ref, t.how(t.operation())), "unpause() of what runs", kPause);
}

void stopPaused(CaseSession &t) {
  t.need("pause");
  const std::string ref = t.running(t.spec(t.name()));
  t.ok(t.rt().pause(ref, t.how(t.operation())), "pause()");
  t.stop(ref);
  t.expectState(ref, {"exited", "dead"}, "stop() of what was paused");
}

void pauseOfWhatDoesNotRun(CaseSession &t) {
  t.need("pause");
  const std::string ref = t.create(t.spec(t.name()));
  const Answer answer = t.rt().pause(ref, t.how(t.operation()));
  t.refused(answer, {MOS_FAILED_PRECONDITION}, "pause() of what does not run",
            "base.h MOS_FAILED_PRECONDITION; runtime.h pause()");
}

void noPause(CaseSession &t) {
  if (t.can("pause")) t.skip("the capabilities say \"pause\": true");
  const std::string ref = t.running(t.spec(t.name()));
  t.refused(t.rt().pause(ref, t.how(t.operation())), {MOS_UNIMPLEMENTED}, "pause()",
            "runtime.h pause(): MOS_UNIMPLEMENTED where capabilities say so");
  t.refused(t.rt().unpause(ref, t.how(t.operation())), {MOS_UNIMPLEMENTED}, "unpause()",
            "runtime.h pause(): MOS_UNIMPLEMENTED where capabilities say so");
}

void statistics(CaseSession &t) {
  t.need("stats");
  const std::string ref = t.running(t.spec(t.name()));
  const Answer answer = t.rt().stats(ref, t.how());
  t.unlessUnimplemented(answer, "stats", "stats");
  t.ok(answer, "stats() of what runs");
  for (const char *key : {"cpuNanos", "memoryBytes", "memoryLimitBytes", "pids", "networkRxBytes", "networkTxBytes"}) {
    const Json value = answer.json.value(key, Json());
    t.expect(value.is_number() && value >= 0, std::string("a number in \"") + key + "\"", answer.text(),
             "runtime.h stats()");
  }
}

std::string writer(CaseSession &t) {
  if (t.options().exitCommand.empty()) t.skip("no exit_command was given: an instance that writes a line and ends");
  Json spec = t.spec(t.name());
  spec["command"] = t.options().exitCommand;
  const std::string ref = t.create(spec);
  t.rt().start(ref, t.how(t.operation()));
  return ref;
}

void logLines(CaseSession &t) {
  const std::string ref = writer(t);
  Answer answer = t.rt().logs(ref, "{\"tail\": 100}", {}, t.how());
  t.unlessUnimplemented(answer, "logs");
  // What was written may take a moment to arrive.
  const auto end = std::chrono::steady_clock::now() + t.options().promptness;
  while (answer.ok() && answer.items.empty() && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
    answer = t.rt().logs(ref, "{\"tail\": 100}", {}, t.how());
  }
  t.ok(answer, "logs()");
  t.expect(!answer.items.empty(), "the lines that the exit_command writes", "none", "runtime.h logs(): output lines");
  for (const Json &item : answer.items) {
    const std::string stream = textOf(item, "stream");
    t.expect((stream == "stdout" || stream == "stderr") && item.contains("line") && item.contains("time"),
             "{\"stream\": \"stdout|stderr\", \"time\": ms, \"line\": text}", item.dump());
  }
}

void logFollow(CaseSession &t) {
  const std::string ref = t.running(t.spec(t.name()));
  const auto pending = t.async([ref](CheckedRuntime &runtime, How how) {
    how.timeout = std::chrono::minutes{5};
    return runtime.logs(ref, "{\"follow\": true}", {}, how);
  });
  if (pending->wait(std::chrono::milliseconds{300})) {
    t.unlessUnimplemented(pending->answer(), "logs");
    t.fail("logs() that follow what runs go on", pending->answer().text(), "runtime.h logs(): {\"follow\": bool}");
  }
  pending->cancel()->trigger();
  t.refused(t.await(pending, t.options().promptness, "logs() that was cancelled"), {MOS_CANCELLED},
            "logs() that was cancelled", "base.h mos_call: the callee stops early when cancelled() answers 1");
}

void badLogOptions(CaseSession &t) {
  const std::string ref = t.create(t.spec(t.name()));
  for (const char *options : {"{", "[]", "{\"tail\": \"all\"}", "{\"follow\": 1}"}) {
    const Answer answer = t.rt().logs(ref, options, {}, t.how());
    t.unlessUnimplemented(answer, "logs");
    t.refused(answer, {MOS_INVALID_ARGUMENT}, "logs() with " + std::string(options), "runtime.h logs(): options");
  }
}

} // namespace

void addExtras(CaseList &list) {
  list.push_back({"pause.cycle", "freeze and thaw, each repeated", kPause, kOptional, pauseCycle});
  list.push_back({"pause.stop", "what is paused can be stopped", "runtime.h stop()", kOptional, stopPaused});
  list.push_back({"pause.not-running", "what does not run cannot be frozen", kPause, kOptional, pauseOfWhatDoesNotRun});
  list.push_back({"pause.unimplemented", "a runtime without pause says so", "runtime.h pause()", kOptional, noPause});
  list.push_back({"stats.members", "stats() tells all its numbers", "runtime.h stats()", kOptional, statistics});
  list.push_back({"logs.lines", "logs() gives what was written", "runtime.h logs()", kOptional, logLines});
  list.push_back({"logs.follow", "logs() that follow end when cancelled", "runtime.h logs()", kOptional, logFollow});
  list.push_back({"logs.options", "options that mean nothing are INVALID_ARGUMENT", "runtime.h logs(): options",
                  kOptional, badLogOptions});
}

} // namespace matrixos::conformance
