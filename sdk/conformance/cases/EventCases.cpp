/// events: what happens is told, in order, to whom it concerns.
#include "Cases.h"

#include <algorithm>

namespace matrixos::conformance {

namespace {

constexpr const char *kEvents = "runtime.h events(): reports what happens to containers with these labels";
constexpr std::chrono::seconds kLimit{10};

void expectEvent(CaseSession &t, const EventSubscription &events, const std::string &name, const std::string &type) {
  t.expect(events.waitFor(name, type, kLimit), "the event " + type + " of " + name,
           "within 10 s only " + joined(events.typesOf(name)), kEvents);
}

/// An instance's whole life; gives its name.
std::string live(CaseSession &t, EventSubscription &events, const Json &spec) {
  const std::string name = textOf(spec, "name");
  const std::string ref = t.running(spec);
  t.stop(ref);
  t.remove(ref);
  expectEvent(t, events, name, "removed");
  return name;
}

void inOrder(CaseSession &t) {
  EventSubscription events(t, t.marked());
  const std::string name = live(t, events, t.spec(t.name()));
  const std::vector<std::string> types = events.typesOf(name);
  const auto at = [&](const char *type) { return std::find(types.begin(), types.end(), type) - types.begin(); };
  const auto end = static_cast<std::ptrdiff_t>(types.size());
  // An engine may tell the end as stopped, as died, or as both.
  const auto ended = std::min(at("stopped"), at("died"));
  t.expect(at("created") < at("started") && at("started") < ended && ended < at("removed") && at("removed") < end,
           "created, started, stopped or died, removed, in this order", joined(types), kEvents);
  t.expect(std::count(types.begin(), types.end(), "created") == 1 &&
               std::count(types.begin(), types.end(), "started") == 1 &&
               std::count(types.begin(), types.end(), "removed") == 1,
           "created, started and removed once each", joined(types), kEvents);
}

void items(CaseSession &t) {
  EventSubscription events(t, t.marked());
  const Json spec = t.spec(t.name());
  const std::string ref = t.create(spec);
  expectEvent(t, events, textOf(spec, "name"), "created");
  for (const Json &item : events.all()) {
    if (textOf(item, "name") != textOf(spec, "name")) continue;
    t.expect(textOf(item, "ref") == ref, "\"ref\" as create() gave it: " + ref, item.dump());
    t.expect(item.contains("time") && item["time"].is_number() && item["time"].get<double>() > 1e12,
             "\"time\" in milliseconds since the epoch", item.dump());
  }
}

void filter(CaseSession &t) {
  const std::string word = t.word("wanted");
  EventSubscription events(t, Json{{t.mark().first, t.mark().second}, {"wanted", word}}.dump());
  const std::string other = t.name();
  t.remove(t.create(t.spec(other)));
  Json spec = t.spec(t.name());
  spec["labels"]["wanted"] = word;
  t.remove(t.create(spec));
  expectEvent(t, events, textOf(spec, "name"), "removed");
  t.expect(events.typesOf(other).empty(), "no event of an instance without the labels", joined(events.typesOf(other)),
           kEvents);
}

void twoSubscribers(CaseSession &t) {
  EventSubscription one(t, t.marked());
  EventSubscription two(t, t.marked());
  const std::string name = live(t, one, t.spec(t.name()));
  expectEvent(t, two, name, "removed");
  t.expect(one.typesOf(name) == two.typesOf(name), "both hear the same: " + joined(one.typesOf(name)),
           joined(two.typesOf(name)), kEvents);
  t.refused(one.end(), {MOS_CANCELLED}, "events() that was cancelled", "runtime.h events()");
  const std::string later = live(t, two, t.spec(t.name()));
  t.expect(one.typesOf(later).empty(), "nothing for who has cancelled", joined(one.typesOf(later)), kEvents);
}

void manyAtOnce(CaseSession &t) {
  EventSubscription events(t, t.marked());
  std::vector<Json> specs;
  for (int i = 0; i < 6; ++i)
    specs.push_back(t.spec(t.name()));
  t.parallel(static_cast<int>(specs.size()), [&t, specs](CheckedRuntime &runtime, int i) {
    const Json &spec = specs[static_cast<std::size_t>(i)];
    Answer answer = runtime.create(spec.dump(), t.creating(spec));
    return answer.ok() ? runtime.remove(textOf(spec, "name"), MOS_REMOVE_FORCE, t.how(t.operation())) : answer;
  });
  for (const Json &spec : specs) {
    const std::string name = textOf(spec, "name");
    expectEvent(t, events, name, "removed");
    const std::vector<std::string> types = events.typesOf(name);
    t.expect(types == std::vector<std::string>{"created", "removed"}, "created, removed of " + name, joined(types),
             kEvents);
  }
}

void sinkStop(CaseSession &t) {
  const auto pending = t.async([labels = t.marked()](CheckedRuntime &runtime, How how) {
    how.timeout = std::chrono::minutes{5};
    return runtime.events(
        labels, [](const std::string &) { return false; }, how);
  });
  const auto end = std::chrono::steady_clock::now() + kLimit;
  while (!pending->wait(std::chrono::milliseconds{200}) && std::chrono::steady_clock::now() < end)
    t.remove(t.create(t.spec(t.name())));
  const Answer &answer = t.await(pending, std::chrono::seconds{1}, "events() whose sink answered stop");
  t.unlessUnimplemented(answer, "events");
  t.ok(answer, "events() whose sink answered stop", "base.h mos_sink: after MOS_SINK_STOP the producer returns MOS_OK");
  t.expect(answer.items.size() == 1 && !answer.itemAfterStop, "nothing after the sink answered stop",
           answer.itemAfterStop ? "another item" : std::to_string(answer.items.size()) + " items");
}

void died(CaseSession &t) {
  if (t.options().exitCommand.empty()) t.skip("no exit_command was given: an instance that ends by itself");
  EventSubscription events(t, t.marked());
  Json spec = t.spec(t.name());
  spec["command"] = t.options().exitCommand;
  const std::string ref = t.create(spec);
  t.rt().start(ref, t.how(t.operation())); // it may be over before start() can see it run
  expectEvent(t, events, textOf(spec, "name"), "died");
  const Json now = t.inspect(ref);
  t.expect(textOf(now, "state") == "exited", "state exited after it ended by itself", textOf(now, "state"));
  t.expect(now.value("exitCode", -1) == t.options().exitCode, "exit code " + std::to_string(t.options().exitCode),
           now.value("exitCode", Json()).dump());
}

} // namespace

void addEvents(CaseList &list) {
  list.push_back({"events.order", "a life is told in its order, each step once", kEvents, kOptional, inOrder});
  list.push_back(
      {"events.items", "an event names its instance and its time", "runtime.h events(): items", kOptional, items});
  list.push_back({"events.filter", "labels choose what is told", kEvents, kOptional, filter});
  list.push_back(
      {"events.two-subscribers", "several listen, and one ends without the other", kEvents, kOptional, twoSubscribers});
  list.push_back({"events.many", "each of many instances is told in its order", kEvents, kOptional, manyAtOnce});
  list.push_back({"events.stop", "a sink that answers stop ends the stream", "base.h mos_sink", kOptional, sinkStop});
  list.push_back(
      {"events.died", "an instance that ends by itself is told, with its exit code", kEvents, kOptional, died});
}

} // namespace matrixos::conformance
