/// pull: making an image present.
#include "Cases.h"

namespace matrixos::conformance {

namespace {

std::string request(const std::string &image, const char *policy) {
  return Json{{"image", image}, {"policy", policy}}.dump();
}

Answer pull(CaseSession &t, const std::string &text, const ItemFn &progress = {}) {
  const Answer answer = t.rt().pull(text, progress, t.how(t.operation()));
  t.unlessUnimplemented(answer, "pull");
  return answer;
}

void present(CaseSession &t) {
  const Answer answer = pull(t, request(t.options().image, "missing"));
  t.ok(answer, "pull() of an image that is there");
  t.expect(answer.json.is_object() && answer.json.contains("digest"), "{\"digest\": text}", answer.text());
  const Answer never = pull(t, request(t.options().image, "never"));
  t.ok(never, "pull() with the policy never of an image that is there");
  t.expect(textOf(never.json, "digest") == textOf(answer.json, "digest"), "the same digest again", never.text());
}

/// A process runtime has no images: whatever is asked for is "present", without a digest.
void needImages(CaseSession &t) {
  const Answer answer = pull(t, request(t.options().image, "missing"));
  if (answer.ok() && textOf(answer.json, "digest").empty())
    t.skip("the runtime has no images: pull() gives an empty digest");
}

void missing(CaseSession &t) {
  needImages(t);
  const Answer answer = pull(t, request(t.options().missingImage, "never"));
  t.refused(answer, {MOS_NOT_FOUND}, "pull() with the policy never of an image that is nowhere");
  t.expect(answer.reason == MOS_REASON_IMAGE_NOT_FOUND, "reason IMAGE_NOT_FOUND", answer.text());
}

void createMissing(CaseSession &t) {
  needImages(t);
  Json spec = t.spec(t.name());
  spec["image"] = t.options().missingImage;
  const Answer answer = t.rt().create(spec.dump(), t.creating(spec));
  t.refused(answer, {MOS_NOT_FOUND}, "create() of an image that is nowhere", "runtime.h reasons: IMAGE_NOT_FOUND");
  t.expect(answer.reason == MOS_REASON_IMAGE_NOT_FOUND, "reason IMAGE_NOT_FOUND", answer.text());
  t.refused(t.rt().inspect(textOf(spec, "name"), t.how()), {MOS_NOT_FOUND}, "inspect() after a failed create()",
            "runtime.h create(): on failure nothing stays behind");
}

void badRequest(CaseSession &t) {
  for (const std::string &text : {request(t.options().image, "sometimes"), std::string("{"), std::string("{}"),
                                  std::string("{\"image\": 7}"), request("", "missing")})
    t.refused(pull(t, text), {MOS_INVALID_ARGUMENT}, "pull() of " + shown(text));
}

void concurrent(CaseSession &t) {
  pull(t, request(t.options().image, "missing"));
  for (const Answer &answer : t.parallel(t.options().threads, [&t](CheckedRuntime &runtime, int) {
         return runtime.pull(request(t.options().image, "missing"), {}, t.how(t.operation()));
       }))
    t.ok(answer, "pull() of one image by several at once");
}

/// Slow, and stopped by whoever watches its progress: nothing is left half done, and the next pull does it.
void stopSlow(CaseSession &t) {
  if (t.options().pullImage.empty()) t.skip("no pull_image was given: one whose pull takes a while");
  int items = 0;
  const Answer answer =
      pull(t, request(t.options().pullImage, "always"), [&](const std::string &) { return ++items < 1; });
  t.refused(answer, {MOS_CANCELLED}, "pull() whose sink answered stop",
            "runtime.h pull(): a sink that answers stop cancels the pull");
  t.expect(!answer.itemAfterStop, "nothing after the sink answered stop", "another item");
  const Answer whole = pull(t, request(t.options().pullImage, "always"));
  t.ok(whole, "pull() after one that was stopped");
  t.expect(!whole.items.empty(), "items of progress", "none", "runtime.h pull(): progress items");
  for (const Json &item : whole.items)
    t.expect(!textOf(item, "phase").empty() && item.contains("current"), "{\"phase\", \"current\", \"total\"}",
             item.dump());
}

} // namespace

void addPull(CaseList &list) {
  list.push_back({"pull.present", "an image that is there has a digest", "runtime.h pull(): returns {\"digest\": text}",
                  kOptional, present});
  list.push_back({"pull.never", "an image that is not there and may not be pulled is IMAGE_NOT_FOUND",
                  "runtime.h pull(): policy", kOptional, missing});
  list.push_back({"pull.create-missing", "create() of an image that is not there leaves nothing", "runtime.h create()",
                  kOptional, createMissing});
  list.push_back({"pull.bad-request", "what makes no sense is INVALID_ARGUMENT", "runtime.h pull(): request", kOptional,
                  badRequest});
  list.push_back({"pull.concurrent", "one image is pulled by several at once", "runtime.h: calls are concurrent",
                  kOptional, concurrent});
  list.push_back({"pull.stop", "a slow pull ends when its watcher has enough",
                  "runtime.h pull(): a sink that answers stop cancels the pull", kOptional, stopSlow});
}

} // namespace matrixos::conformance
