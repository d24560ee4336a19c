/// concurrency: calls come from many threads at once.
#include "Cases.h"

#include <set>

namespace matrixos::conformance {

namespace {

constexpr const char *kConcurrent = "runtime.h: calls are synchronous, [executor], concurrent";

void manyInstances(CaseSession &t) {
  std::vector<Json> specs;
  for (int i = 0; i < t.options().threads; ++i)
    specs.push_back(t.spec(t.name()));
  const std::vector<Answer> answers = t.parallel(t.options().threads, [&t, specs](CheckedRuntime &runtime, int i) {
    const Json &spec = specs[static_cast<std::size_t>(i)];
    const std::string name = textOf(spec, "name");
    Answer answer = runtime.create(spec.dump(), t.creating(spec));
    if (answer.ok()) answer = runtime.start(name, t.how(t.operation()));
    if (answer.ok()) answer = runtime.inspect(name, t.how());
    if (answer.ok() && textOf(answer.json, "state") != "running") answer.status = MOS_UNKNOWN;
    if (answer.ok()) answer = runtime.stop(name, std::chrono::seconds{1}, t.how(t.operation()));
    if (answer.ok()) answer = runtime.remove(name, 0, t.how(t.operation()));
    return answer;
  });
  for (const Answer &answer : answers)
    t.ok(answer, "a whole life beside others");
  t.expect(t.list(t.marked()).empty(), "nothing left of lives that ended", std::to_string(t.list(t.marked()).size()));
}

void sameInstance(CaseSession &t) {
  const std::string ref = t.create(t.spec(t.name()));
  const int threads = t.options().threads;
  for (const Answer &answer : t.parallel(
           threads, [&t, ref](CheckedRuntime &runtime, int) { return runtime.start(ref, t.how(t.operation())); }))
    t.ok(answer, "start() of one instance by several at once");
  t.expectState(ref, {"running"}, "several start() at once");
  for (const Answer &answer : t.parallel(threads, [&t, ref](CheckedRuntime &runtime, int) {
         return runtime.stop(ref, std::chrono::seconds{1}, t.how(t.operation()));
       }))
    t.ok(answer, "stop() of one instance by several at once");
  t.expectState(ref, {"exited", "dead"}, "several stop() at once");
  for (const Answer &answer : t.parallel(
           threads, [&t, ref](CheckedRuntime &runtime, int) { return runtime.remove(ref, 0, t.how(t.operation())); }))
    t.ok(answer, "remove() of one instance by several at once");
  t.expectGone(ref, "several remove() at once");
}

/// Every caller gives the same spec, as two daemons after a split would: one instance, and everybody knows it.
void createRace(CaseSession &t) {
  const Json spec = t.spec(t.name());
  std::set<std::string> refs;
  for (const Answer &answer : t.parallel(t.options().threads, [&t, spec](CheckedRuntime &runtime, int) {
         return runtime.create(spec.dump(), t.creating(spec));
       })) {
    t.ok(answer, "create() of one spec and operation by several at once");
    refs.insert(textOf(answer.json, "ref"));
  }
  t.expect(refs.size() == 1, "one ref for all", std::to_string(refs.size()) + " different ones");
  t.expect(t.list(t.marked()).size() == 1, "one instance", std::to_string(t.list(t.marked()).size()));
}

void nameRace(CaseSession &t) {
  const std::string name = t.name();
  std::vector<Json> specs;
  for (int i = 0; i < t.options().threads; ++i)
    specs.push_back(t.spec(name, "v" + std::to_string(i)));
  int won = 0;
  for (const Answer &answer : t.parallel(t.options().threads, [&t, specs](CheckedRuntime &runtime, int i) {
         const Json &spec = specs[static_cast<std::size_t>(i)];
         return runtime.create(spec.dump(), t.creating(spec));
       })) {
    if (answer.ok())
      ++won;
    else
      t.refused(answer, {MOS_ALREADY_EXISTS, MOS_ABORTED}, "create() that lost a name to another spec");
  }
  t.expect(won == 1, "one winner", std::to_string(won));
  t.expect(t.list(t.marked()).size() == 1, "one instance", std::to_string(t.list(t.marked()).size()));
}

/// Whatever the order was, the instance can be used afterwards, and no answer is a puzzle.
void storm(CaseSession &t) {
  const std::string ref = t.create(t.spec(t.name()));
  for (const Answer &answer : t.parallel(t.options().threads, [&t, ref](CheckedRuntime &runtime, int i) {
         Answer answer;
         for (int round = 0;
              round < 3 && (answer.ok() || answer.status == MOS_ABORTED || answer.status == MOS_FAILED_PRECONDITION);
              ++round) {
           if (i % 3 == 0)
             answer = runtime.start(ref, t.how(t.operation()));
           else if (i % 3 == 1)
             answer = runtime.stop(ref, std::chrono::milliseconds{100}, t.how(t.operation()));
           else
             answer = runtime.inspect(ref, t.how());
         }
         return answer;
       })) {
    // A start may find that it was stopped meanwhile; that is an answer, while NOT_FOUND or INTERNAL is not.
    if (!answer.ok()) t.refused(answer, {MOS_ABORTED, MOS_FAILED_PRECONDITION}, "start, stop and inspect in a storm");
  }
  t.start(ref);
  t.expectState(ref, {"running"}, "a storm of start() and stop(), and one start()");
}

} // namespace

void addConcurrency(CaseList &list) {
  list.push_back({"concurrency.many-instances", "whole lives side by side", kConcurrent, kCore, manyInstances});
  list.push_back({"concurrency.one-instance", "start, stop, remove of one instance by several at once", kConcurrent,
                  kCore, sameInstance});
  list.push_back({"concurrency.create-race", "one spec created by several at once is one instance",
                  "runtime.h create(): when the name is taken by an equal operation or spec hash, adopt it", kCore,
                  createRace});
  list.push_back({"concurrency.name-race", "one name wanted by several specs has one winner",
                  "runtime.h create(): … else MOS_ALREADY_EXISTS / NAME_IN_USE", kCore, nameRace});
  list.push_back(
      {"concurrency.storm", "start and stop in any order leave an instance that works", kConcurrent, kCore, storm});
}

} // namespace matrixos::conformance
