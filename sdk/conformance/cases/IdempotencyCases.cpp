/// idempotency: a call repeated, because its answer was lost, does no harm.
#include "Cases.h"

namespace matrixos::conformance {

namespace {

constexpr const char *kAdopt =
    "runtime.h create(): when the name is taken: by an equal operation or an equal spec hash label, adopt it";
constexpr const char *kRefuse = "runtime.h create(): … else MOS_ALREADY_EXISTS / NAME_IN_USE";
constexpr const char *kRepeat = "runtime.h: a mutation repeated with the same operation id, or on something already in "
                                "the wanted state, succeeds again";

std::string createAgain(CaseSession &t, const Json &spec, const How &how, const std::string &what) {
  const Answer again = t.rt().create(spec.dump(), how);
  t.ok(again, what, kAdopt);
  return textOf(again.json, "ref");
}

void sameOperation(CaseSession &t) {
  const Json spec = t.spec(t.name());
  const std::string ref = t.create(spec);
  const std::string again = createAgain(t, spec, t.creating(spec), "create() repeated with the same operation id");
  t.expect(again == ref, "the same ref again: " + ref, again);
  t.expect(t.list(t.marked()).size() == 1, "one instance", std::to_string(t.list(t.marked()).size()));
}

/// Only the operation's label tells that it is the same: spec and hash are another's.
void operationLabel(CaseSession &t) {
  const Json spec = t.spec(t.name());
  const std::string ref = t.create(spec);
  Json changed = t.spec(textOf(spec, "name"), "b");
  changed["labels"][MOS_LABEL_OPERATION] = spec["labels"][MOS_LABEL_OPERATION];
  const std::string again = createAgain(t, changed, t.creating(changed), "create() with an equal operation label");
  t.expect(again == ref, "the same ref again: " + ref, again);
}

void sameHash(CaseSession &t) {
  const Json spec = t.spec(t.name());
  const std::string ref = t.create(spec);
  Json later = spec;
  later["labels"][MOS_LABEL_OPERATION] = t.operation();
  const std::string again =
      createAgain(t, later, t.creating(later), "create() of an equal spec hash by another operation");
  t.expect(again == ref, "the same ref again: " + ref, again);
}

void lostAnswer(CaseSession &t) {
  const Json spec = t.spec(t.name());
  const std::string ref = t.running(spec);
  const std::string again = createAgain(t, spec, t.creating(spec), "create() repeated after start()");
  t.expect(again == ref, "the same ref again: " + ref, again);
  t.expectState(ref, {"running"}, "a repeated create(), which leaves it alone");
}

void nameInUse(CaseSession &t) {
  const Json spec = t.spec(t.name());
  const std::string ref = t.running(spec);
  const Json other = t.spec(textOf(spec, "name"), "b");
  const Answer answer = t.rt().create(other.dump(), t.creating(other));
  t.refused(answer, {MOS_ALREADY_EXISTS}, "create() of another spec under a name that is taken", kRefuse);
  t.expect(answer.reason == MOS_REASON_NAME_IN_USE, "reason NAME_IN_USE", answer.text(), kRefuse);
  const Json now = t.inspect(textOf(spec, "name"));
  t.expect(textOf(now, "ref") == ref && textOf(now, "state") == "running", "the holder untouched and running",
           now.dump(), kRefuse);
}

/// No operation id and no hash: nothing is equal to nothing.
void emptyIds(CaseSession &t) {
  const auto plain = [&](const std::string &name, const char *variant) {
    Json spec = t.spec(name, variant);
    spec["labels"].erase(MOS_LABEL_OPERATION);
    spec["labels"].erase(MOS_LABEL_SPEC_HASH);
    return spec;
  };
  const std::string name = t.name();
  t.ok(t.rt().create(plain(name, "a").dump(), t.how()), "create() without any operation id",
       "base.h mos_call: operation_id may be empty");
  const Answer answer = t.rt().create(plain(name, "b").dump(), t.how());
  t.refused(answer, {MOS_ALREADY_EXISTS}, "create() of another spec, both without operation id and hash", kRefuse);
}

void repeated(CaseSession &t) {
  const std::string ref = t.create(t.spec(t.name()));
  const auto twice = [&](const char *what, const std::function<Answer(const How &)> &call, const std::string &state) {
    const How same = t.how(t.operation());
    t.ok(call(same), std::string(what) + "()");
    t.ok(call(same), std::string(what) + "() repeated with the same operation id", kRepeat);
    t.ok(call(t.how(t.operation())), std::string(what) + "() of another operation in the wanted state", kRepeat);
    if (!state.empty()) t.expectState(ref, {state}, std::string(what) + "() three times");
  };
  twice(
      "start", [&](const How &how) { return t.rt().start(ref, how); }, "running");
  twice(
      "stop", [&](const How &how) { return t.rt().stop(ref, std::chrono::seconds{1}, how); }, "exited");
  twice(
      "remove", [&](const How &how) { return t.rt().remove(ref, 0, how); }, "");
  t.expectGone(ref, "remove() three times");
}

void absent(CaseSession &t) {
  const std::string nobody = t.word("nobody");
  t.ok(t.rt().stop(nobody, std::chrono::seconds{1}, t.how(t.operation())), "stop() of what is absent",
       "runtime.h stop(): stopped or absent already is success");
  t.ok(t.rt().remove(nobody, 0, t.how(t.operation())), "remove() of what is absent",
       "runtime.h remove(): absent already is success");
  t.ok(t.rt().remove(nobody, MOS_REMOVE_FORCE, t.how(t.operation())), "remove() by force of what is absent",
       "runtime.h remove(): absent already is success");
}

void stopBeforeStart(CaseSession &t) {
  const std::string ref = t.create(t.spec(t.name()));
  t.ok(t.rt().stop(ref, std::chrono::seconds{1}, t.how(t.operation())), "stop() of what was never started",
       "runtime.h stop(): stopped or absent already is success");
  t.start(ref);
  t.expectState(ref, {"running"}, "stop() of what was never started, and start()");
}

} // namespace

void addIdempotency(CaseList &list) {
  list.push_back({"idempotency.same-operation", "create() repeated with its operation id gives the same ref", kAdopt,
                  kCore, sameOperation});
  list.push_back(
      {"idempotency.operation-label", "an equal operation label is enough to adopt", kAdopt, kCore, operationLabel});
  list.push_back({"idempotency.same-spec", "an equal spec hash label is enough to adopt", kAdopt, kCore, sameHash});
  list.push_back({"idempotency.lost-answer", "create() repeated after start() adopts what runs, and leaves it running",
                  kAdopt, kCore, lostAnswer});
  list.push_back({"idempotency.name-in-use",
                  "another spec under a taken name is refused, and nothing happens to the holder", kRefuse, kCore,
                  nameInUse});
  list.push_back({"idempotency.empty-ids", "missing operation ids and hashes are not equal to each other", kRefuse,
                  kCore, emptyIds});
  list.push_back({"idempotency.repeated", "start, stop and remove succeed again", kRepeat, kCore, repeated});
  list.push_back(
      {"idempotency.absent", "stop and remove of what is absent succeed", "runtime.h stop(), remove()", kCore, absent});
  list.push_back({"idempotency.stop-first", "stop of what never ran succeeds and does not hinder a start",
                  "runtime.h stop()", kCore, stopBeforeStart});
}

} // namespace matrixos::conformance
