/// cancel: deadlines that have passed, and calls that nobody wants any more.
#include "Cases.h"

#include <thread>

namespace matrixos::conformance {

namespace {

constexpr const char *kDeadline =
    "base.h mos_call: the callee stops early, with MOS_DEADLINE_EXCEEDED or MOS_CANCELLED, when "
    "deadline_ns has passed or cancelled() answers 1";
constexpr const char *kNothing = "runtime.h create(): on failure nothing stays behind";

How late(CaseSession &t) {
  How how = t.how(t.operation());
  how.timeout = std::chrono::milliseconds{-1000};
  return how;
}

How cancelled(CaseSession &t) {
  How how = t.how(t.operation());
  how.cancel = std::make_shared<Cancel>();
  how.cancel->trigger();
  return how;
}

/// Mutations under a context that is over: refused, and nothing has happened.
void overBefore(CaseSession &t, const std::function<How(CaseSession &)> &over, mos_status wanted) {
  const Json fresh = t.spec(t.name());
  t.refused(t.rt().create(fresh.dump(), over(t)), {wanted}, "create() whose context is over");
  t.refused(t.rt().inspect(textOf(fresh, "name"), t.how()), {MOS_NOT_FOUND},
            "inspect() after a create() that was refused", kNothing);
  const std::string ref = t.create(t.spec(t.name()));
  t.refused(t.rt().start(ref, over(t)), {wanted}, "start() whose context is over");
  t.expectState(ref, {"created"}, "a start() that was refused");
  t.start(ref);
  t.refused(t.rt().stop(ref, std::chrono::seconds{1}, over(t)), {wanted}, "stop() whose context is over");
  t.expectState(ref, {"running"}, "a stop() that was refused");
}

void readsInThePast(CaseSession &t) {
  const std::string ref = t.create(t.spec(t.name()));
  for (const auto &[what, answer] :
       std::vector<std::pair<std::string, Answer>>{{"inspect()", t.rt().inspect(ref, late(t))},
                                                   {"list()", t.rt().list(t.marked(), {}, late(t))},
                                                   {"endpoints()", t.rt().endpoints(ref, late(t))},
                                                   {"events()", t.rt().events(t.marked(), {}, late(t))}}) {
    // An answer that is there at once is no harm.
    if (!answer.ok())
      t.refused(answer, {MOS_DEADLINE_EXCEEDED, MOS_UNIMPLEMENTED}, what + " with a deadline in the past");
  }
}

std::shared_ptr<Pending> openEvents(CaseSession &t, bool withFd) {
  const auto pending = t.async([labels = t.marked(), withFd](CheckedRuntime &runtime, How how) {
    how.timeout = std::chrono::minutes{10};
    how.withFd = withFd;
    return runtime.events(labels, {}, how);
  });
  if (pending->wait(std::chrono::milliseconds{200})) {
    t.unlessUnimplemented(pending->answer(), "events");
    t.fail("events() blocks until it is cancelled", pending->answer().text());
  }
  return pending;
}

void eventsCancelled(CaseSession &t) {
  const auto pending = openEvents(t, true);
  pending->cancel()->trigger();
  t.refused(t.await(pending, t.options().promptness, "events() that was cancelled"), {MOS_CANCELLED},
            "events() that was cancelled", "runtime.h events(): blocks until cancelled (MOS_CANCELLED)");
}

/// -1 in cancel_fd means that cancelled() has to be asked.
void eventsWithoutFd(CaseSession &t) {
  const auto pending = openEvents(t, false);
  pending->cancel()->trigger();
  t.refused(t.await(pending, t.options().promptness, "events() that was cancelled, without a cancel_fd"),
            {MOS_CANCELLED}, "events() that was cancelled, without a cancel_fd",
            "base.h mos_call.cancel_fd: -1: none, poll cancelled() instead");
}

void eventsDeadline(CaseSession &t) {
  openEvents(t, true)->cancel()->trigger();
  const auto pending = t.async([labels = t.marked()](CheckedRuntime &runtime, How how) {
    how.timeout = std::chrono::milliseconds{300};
    return runtime.events(labels, {}, how);
  });
  t.refused(t.await(pending, t.options().promptness, "events() whose deadline passes"), {MOS_DEADLINE_EXCEEDED},
            "events() whose deadline passes");
}

/// Whatever moment the cancellation comes at: an instance is there only when create() said so.
void createAtAnyMoment(CaseSession &t) {
  for (const int delay : {0, 1, 2, 5, 10, 20, 50}) {
    const Json spec = t.spec(t.name());
    const How creating = t.creating(spec);
    const auto pending = t.async([spec, creating](CheckedRuntime &runtime, How how) {
      how.operationId = creating.operationId;
      return runtime.create(spec.dump(), how);
    });
    pending->wait(std::chrono::milliseconds{delay});
    pending->cancel()->trigger();
    const Answer &answer = t.await(pending, t.options().callTimeout, "create() that was cancelled");
    if (answer.ok()) continue;
    t.refused(answer, {MOS_CANCELLED}, "create() cancelled after " + std::to_string(delay) + " ms");
    t.refused(t.rt().inspect(textOf(spec, "name"), t.how()), {MOS_NOT_FOUND}, "inspect() after a cancelled create()",
              kNothing);
    t.create(spec);
  }
}

void startAtAnyMoment(CaseSession &t) {
  for (const int delay : {0, 2, 10, 50}) {
    const std::string ref = t.create(t.spec(t.name()));
    const auto pending = t.async([ref](CheckedRuntime &runtime, const How &how) { return runtime.start(ref, how); });
    pending->wait(std::chrono::milliseconds{delay});
    pending->cancel()->trigger();
    const Answer &answer = t.await(pending, t.options().callTimeout, "start() that was cancelled");
    if (!answer.ok()) t.refused(answer, {MOS_CANCELLED}, "start() cancelled after " + std::to_string(delay) + " ms");
    t.start(ref);
    t.expectState(ref, {"running"}, "a cancelled start() and another one");
  }
}

/// A stop that waits for its grace period is back long before when nobody wants it.
void slowStop(CaseSession &t) {
  if (t.options().stubbornCommand.empty()) t.skip("no stubborn_command was given: an instance that ignores SIGTERM");
  Json spec = t.spec(t.name());
  spec["command"] = t.options().stubbornCommand;
  const std::string ref = t.running(spec);
  const auto pending = t.async(
      [ref](CheckedRuntime &runtime, const How &how) { return runtime.stop(ref, std::chrono::minutes{5}, how); });
  if (pending->wait(std::chrono::milliseconds{500})) t.skip("the stubborn_command ended at once");
  pending->cancel()->trigger();
  t.refused(t.await(pending, t.options().promptness, "stop() that was cancelled"), {MOS_CANCELLED},
            "stop() that was cancelled");
  t.ok(t.rt().stop(ref, std::chrono::milliseconds{100}, t.how(t.operation())), "stop() with a short grace",
       "runtime.h stop(): asks it to end, kills it after grace_ms");
  t.expectState(ref, {"exited", "dead"}, "stop() of what ignores SIGTERM");
}

} // namespace

void addCancellation(CaseList &list) {
  list.push_back({"cancel.deadline-past", "nothing is done after the deadline", kDeadline, kOptional,
                  [](CaseSession &t) { overBefore(t, late, MOS_DEADLINE_EXCEEDED); }});
  list.push_back({"cancel.cancelled-before", "nothing is done for who has cancelled", kDeadline, kOptional,
                  [](CaseSession &t) { overBefore(t, cancelled, MOS_CANCELLED); }});
  list.push_back({"cancel.reads-past", "reads after the deadline answer or say that it is over", kDeadline, kOptional,
                  readsInThePast});
  list.push_back(
      {"cancel.events", "events() ends when it is cancelled", "runtime.h events()", kOptional, eventsCancelled});
  list.push_back({"cancel.events-without-fd", "cancelled() alone is enough to end events()",
                  "base.h mos_call.cancel_fd", kOptional, eventsWithoutFd});
  list.push_back({"cancel.events-deadline", "events() ends at its deadline", kDeadline, kOptional, eventsDeadline});
  list.push_back({"cancel.create", "create() cancelled at any moment leaves all or nothing", kNothing, kOptional,
                  createAtAnyMoment});
  list.push_back(
      {"cancel.start", "start() cancelled at any moment can be repeated", kDeadline, kOptional, startAtAnyMoment});
  list.push_back({"cancel.slow-stop", "stop() is back before its grace period when it is cancelled", kDeadline,
                  kOptional, slowStop});
}

} // namespace matrixos::conformance
