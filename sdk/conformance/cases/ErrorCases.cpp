/// errors: refusals that say what is wrong and leave nothing behind.
#include "Cases.h"

namespace matrixos::conformance {

namespace {

constexpr const char *kNotFound = "runtime.h inspect(): MOS_NOT_FOUND when the engine surely has none";

void unknownRef(CaseSession &t) {
  const std::string nobody = t.word("nobody");
  const auto check = [&](const char *function, const Answer &answer) {
    if (answer.status != MOS_UNIMPLEMENTED)
      t.refused(answer, {MOS_NOT_FOUND}, std::string(function) + "() of an unknown ref", kNotFound);
  };
  t.refused(t.rt().inspect(nobody, t.how()), {MOS_NOT_FOUND}, "inspect() of an unknown ref", kNotFound);
  t.refused(t.rt().start(nobody, t.how(t.operation())), {MOS_NOT_FOUND}, "start() of an unknown ref", kNotFound);
  t.refused(t.rt().endpoints(nobody, t.how()), {MOS_NOT_FOUND}, "endpoints() of an unknown ref", kNotFound);
  check("logs", t.rt().logs(nobody, "{}", {}, t.how()));
  check("stats", t.rt().stats(nobody, t.how()));
  check("pause", t.rt().pause(nobody, t.how(t.operation())));
  check("unpause", t.rt().unpause(nobody, t.how(t.operation())));
}

void badJson(CaseSession &t) {
  constexpr const char *kRule = "runtime.h: specs are JSON objects in UTF-8; base.h MOS_INVALID_ARGUMENT";
  for (const char *text : {"", "{", "[]", "null", "\"text\"", "{\"name\": }", "{} trailing", "{'name': 'x'}"}) {
    t.refused(t.rt().create(text, t.how(t.operation())), {MOS_INVALID_ARGUMENT},
              "create() of " + (*text == '\0' ? std::string("nothing") : shown(text)), kRule);
  }
  for (const char *text : {"{", "[]", "7", "{\"a\": 1}", "{\"a\": {}}"}) {
    t.refused(t.rt().list(text, {}, t.how()), {MOS_INVALID_ARGUMENT}, "list() of " + shown(text),
              "runtime.h list(): labels are {\"k\": \"v\"}");
  }
}

void badSpec(CaseSession &t) {
  constexpr const char *kRule = "runtime.h: instance spec, the argument of create()";
  const auto refuse = [&](const char *what, const std::function<void(Json &)> &spoil) {
    Json spec = t.spec(t.name());
    spoil(spec);
    t.refused(t.rt().create(spec.dump(), t.creating(spec)), {MOS_INVALID_ARGUMENT},
              std::string("create() with ") + what, kRule);
  };
  refuse("no name", [](Json &spec) { spec.erase("name"); });
  refuse("an empty name", [](Json &spec) { spec["name"] = ""; });
  refuse("a name that is a number", [](Json &spec) { spec["name"] = 7; });
  refuse("a name that is a path", [](Json &spec) { spec["name"] = "../../etc/passwd"; });
  refuse("a name with blanks", [](Json &spec) { spec["name"] = "two words"; });
  refuse("labels that are a list", [](Json &spec) { spec["labels"] = Json::array({"a"}); });
  refuse("a label that is a number", [](Json &spec) { spec["labels"]["number"] = 5; });
  refuse("env that is a text", [](Json &spec) { spec["env"] = "A=B"; });
  refuse("a port beyond 65535", [](Json &spec) { spec["ports"][0]["containerPort"] = 70000; });
}

void nothingLeft(CaseSession &t) {
  Json spec = t.spec(t.name());
  spec["ports"] = "all of them";
  const Answer answer = t.rt().create(spec.dump(), t.creating(spec));
  t.expect(!answer.ok(), "a refusal of create() with a bad spec", answer.text());
  constexpr const char *kRule = "runtime.h create(): on failure nothing stays behind";
  t.refused(t.rt().inspect(textOf(spec, "name"), t.how()), {MOS_NOT_FOUND}, "inspect() after a failed create()", kRule);
  t.expect(t.list(t.marked()).empty(), "no instance after a failed create()", "one", kRule);
  const Json good = t.spec(textOf(spec, "name"));
  t.ok(t.rt().create(good.dump(), t.creating(good)), "create() under the name of one that failed", kRule);
}

/// The error's memory is the caller's, who may not want to know.
void noErrorWanted(CaseSession &t) {
  How quiet = t.how();
  quiet.nullError = true;
  const Answer answer = t.rt().inspect(t.word("nobody"), quiet);
  t.refused(answer, {MOS_NOT_FOUND}, "inspect() of an unknown ref with a NULL mos_error",
            "base.h mos_error: pointers to it may be NULL");
  t.refused(t.rt().create("{", quiet), {MOS_INVALID_ARGUMENT}, "create() of bad JSON with a NULL mos_error",
            "base.h mos_error: pointers to it may be NULL");
}

/// Fails in the ways that are at hand, so that this case judges something when it runs alone, then judges how every
/// call so far has failed.
void duty(CaseSession &t, Duty which, const char *expected) {
  t.rt().inspect(t.word("nobody"), t.how());
  t.rt().create("{", t.how());
  t.rt().list("7", {}, t.how());
  t.capabilities();
  t.list(t.marked());
  const std::vector<std::string> broken = t.rt().broken(which);
  if (broken.empty()) return;
  std::string all = broken.front();
  for (std::size_t i = 1; i < broken.size() && i < 5; ++i)
    all += "; " + broken[i];
  if (broken.size() > 5) all += "; and " + std::to_string(broken.size() - 5) + " more";
  t.fail(expected, all);
}

Case dutyCase(const char *id, const char *title, const char *rule, Duty which) {
  return {id, title, rule, kCore, [which, title](CaseSession &t) { duty(t, which, title); }};
}

} // namespace

void addErrors(CaseList &list) {
  list.push_back({"errors.unknown-ref", "an unknown ref is NOT_FOUND", kNotFound, kCore, unknownRef});
  list.push_back({"errors.bad-json", "what is no JSON object is INVALID_ARGUMENT",
                  "runtime.h: specs are JSON objects in UTF-8", kCore, badJson});
  list.push_back(
      {"errors.bad-spec", "specs that mean nothing are INVALID_ARGUMENT", "runtime.h: instance spec", kCore, badSpec});
  list.push_back({"errors.nothing-left", "a failed create() leaves nothing behind",
                  "runtime.h create(): on failure nothing stays behind", kCore, nothingLeft});
  list.push_back({"errors.null-error", "failures work without a mos_error",
                  "base.h mos_error: pointers to it may be NULL", kCore, noErrorWanted});
  list.push_back(dutyCase("errors.status", "every status is a known one and equal to that in mos_error",
                          "base.h mos_status: the numbers are those of gRPC", Duty::Status));
  list.push_back(dutyCase("errors.message", "every failure has a message, in UTF-8, cut at a character",
                          "base.h mos_error.message: a sentence for people: what failed and what to do about it",
                          Duty::Message));
  list.push_back(dutyCase("errors.reason", "reasons are UPPER_SNAKE_CASE or empty, retry_after_ms is not negative",
                          "base.h mos_error.reason: stable word for programs, UPPER_SNAKE_CASE", Duty::Reason));
  list.push_back(dutyCase("errors.buffer", "a failed call leaves the out buffer alone",
                          "base.h mos_buf: a callee leaves the buffer untouched when it fails", Duty::Buffer));
  list.push_back(dutyCase("errors.json", "every answer and item is JSON in UTF-8",
                          "runtime.h: specs and descriptions are JSON objects in UTF-8", Duty::Document));
  list.push_back(dutyCase("errors.sink", "sinks are called on the call's thread and not after they answered stop",
                          "base.h mos_sink: one item a call, on the thread of the call that was given the sink",
                          Duty::Sink));
}

} // namespace matrixos::conformance
