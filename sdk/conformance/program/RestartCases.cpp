#include "RestartCases.h"

#include "../CaseSession.h"
#include "Child.h"
#include "LoadedPlugin.h"
#include "RemoteRuntime.h"

#include <thread>

namespace matrixos::conformance {

namespace {

constexpr const char *kFound =
    "runtime.h: every call that takes a ref also takes the name, so that an instance is found again "
    "when the answer of create() was lost";

using End = void (RemoteRuntime::*)();

/// Instances have to outlive the process, unless they are made of its memory.
void needDurable(CaseSession &t, const Settings &settings) {
  if (settings.durable == "no") t.skip("[conformance] durable=no: instances end with the plugin's process");
  if (settings.durable == "auto" && textOf(t.capabilities(), "isolation") == "simulated")
    t.skip("isolation is \"simulated\": instances end with the plugin's process (set durable=yes when they do not)");
}

/// By ref, by name and in the list: the same instance, in the same state.
void expectFound(CaseSession &t, const std::string &ref, const Json &spec, const std::string &state) {
  for (const std::string &key : {ref, textOf(spec, "name")}) {
    const Json found = t.inspect(key);
    t.expect(textOf(found, "ref") == ref && textOf(found, "state") == state,
             "ref " + ref + ", state " + state + " by " + key, found.dump(), kFound);
  }
  const std::vector<Json> items = t.list(t.marked());
  t.expect(items.size() == 1 && textOf(items[0], "ref") == ref, "the instance in list()", Json(items).dump(),
           "runtime.h list(): complete, or a failure");
  const Json labels = items[0].value("labels", Json::object());
  for (const auto &[key, value] : spec["labels"].items())
    t.expect(labels.value(key, Json()) == value, "the label " + key, labels.dump(),
             "runtime.h: description, \"labels\"");
}

void afterCreate(CaseSession &t, RemoteRuntime &remote, End end) {
  const Json spec = t.spec(t.name());
  const std::string ref = t.create(spec);
  (remote.*end)();
  expectFound(t, ref, spec, "created");
  const Answer again = t.rt().create(spec.dump(), t.creating(spec));
  t.ok(again, "create() repeated in the next process", "runtime.h create(): by an equal operation, adopt it");
  t.expect(textOf(again.json, "ref") == ref, "the same ref: " + ref, textOf(again.json, "ref"));
  t.start(ref);
  t.expectState(ref, {"running"}, "start() in the next process");
}

void afterStart(CaseSession &t, RemoteRuntime &remote, End end) {
  const Json spec = t.spec(t.name());
  const std::string ref = t.running(spec);
  const Json before = t.inspect(ref);
  (remote.*end)();
  expectFound(t, ref, spec, "running");
  const Json after = t.inspect(ref);
  t.expect(after["startedAt"] == before["startedAt"], "the same startedAt: it was not started anew", after.dump(),
           "runtime.h: instances are the engine's, not the process's");
  const Answer answer = t.rt().endpoints(ref, t.how());
  t.ok(answer, "endpoints() in the next process");
  t.expect(answer.json == before["endpoints"], "the same endpoints: " + before["endpoints"].dump(), answer.text());
  t.stop(ref);
  t.expectState(ref, {"exited", "dead"}, "stop() in the next process");
  t.remove(ref, 0);
  t.expectGone(ref, "remove() in the next process");
}

void afterStop(CaseSession &t, RemoteRuntime &remote, End end) {
  const Json spec = t.spec(t.name());
  const std::string ref = t.running(spec);
  t.stop(ref);
  (remote.*end)();
  expectFound(t, ref, spec, "exited");
  t.start(ref);
  t.expectState(ref, {"running"}, "start() in the next process");
}

void afterRemove(CaseSession &t, RemoteRuntime &remote, End end) {
  const Json spec = t.spec(t.name());
  t.remove(t.running(spec));
  (remote.*end)();
  t.expectGone(textOf(spec, "name"), "remove() and another process");
  t.expect(t.list(t.marked()).empty(), "nothing in list()", "something", "runtime.h list()");
}

/// Killed at any moment of create(): the name is free, or held by what create() made.
void duringCreate(CaseSession &t, RemoteRuntime &remote) {
  for (const int delay : {0, 3, 15}) {
    const Json spec = t.spec(t.name());
    remote.sendOnly({{"call", "create"}, {"text", spec.dump()}, {"operation", t.creating(spec).operationId}});
    std::this_thread::sleep_for(std::chrono::milliseconds{delay}); // the moment is the point, nothing is waited for
    remote.kill();
    const std::string ref = t.create(spec);
    t.start(ref);
    t.expectState(textOf(spec, "name"), {"running"}, "a create() that was cut short, create() and start()");
    t.remove(ref);
    t.expect(t.list(t.marked()).empty(), "nothing left", std::to_string(t.list(t.marked()).size()) + " instances");
  }
}

void duringStart(CaseSession &t, RemoteRuntime &remote) {
  for (const int delay : {0, 5, 30}) {
    const Json spec = t.spec(t.name());
    const std::string ref = t.create(spec);
    remote.sendOnly({{"call", "start"}, {"text", ref}, {"operation", t.operation()}});
    std::this_thread::sleep_for(std::chrono::milliseconds{delay});
    remote.kill();
    t.start(ref);
    expectFound(t, ref, spec, "running");
    t.stop(ref);
    t.expectState(ref, {"exited", "dead"}, "stop() after a start() that was cut short");
    t.remove(ref);
  }
}

} // namespace

std::vector<Case> restartCases(const Settings &settings, RemoteRuntime *remote) {
  std::vector<Case> list;
  const auto add = [&](const std::string &id, const std::string &title,
                       std::function<void(CaseSession &, RemoteRuntime &)> run) {
    list.push_back({"restart." + id, title, kFound, false, [&settings, remote, run](CaseSession &t) {
                      needDurable(t, settings);
                      run(t, *remote);
                    }});
  };
  const std::vector<std::pair<std::string, End>> ends{{"stopped", &RemoteRuntime::restart},
                                                      {"killed", &RemoteRuntime::kill}};
  for (const auto &[how, end] : ends) {
    add(how + "-created", "what was created is found after its process was " + how,
        [end = end](CaseSession &t, RemoteRuntime &r) { afterCreate(t, r, end); });
    add(how + "-running", "what runs goes on and is found after its process was " + how,
        [end = end](CaseSession &t, RemoteRuntime &r) { afterStart(t, r, end); });
    add(how + "-exited", "what was stopped is found after its process was " + how,
        [end = end](CaseSession &t, RemoteRuntime &r) { afterStop(t, r, end); });
    add(how + "-removed", "what was removed stays away after its process was " + how,
        [end = end](CaseSession &t, RemoteRuntime &r) { afterRemove(t, r, end); });
  }
  add("killed-in-create", "create() cut short by a kill can be repeated", duringCreate);
  add("killed-in-start", "start() cut short by a kill can be repeated", duringStart);
  return list;
}

void runRestartCases(const Settings &settings, const std::vector<Case> &selected, const CaseObserver &progress) {
  if (selected.empty()) return;
  RemoteRuntime remote(settings);
  std::vector<Case> bound;
  for (const Case &one : restartCases(settings, &remote)) {
    for (const Case &wanted : selected) {
      if (wanted.id == one.id) bound.push_back(one);
    }
  }
  run(remote.table(), settings.options, bound, progress);
}

int serve(const Settings &settings) {
  HostWork work;
  try {
    const LoadedPlugin plugin(settings.plugin);
    PluginLife life(plugin, work, settings.config, settings.facts());
    life.create();
    life.start();
    const mos_runtime_v1 *table = life.runtime(settings.instance);
    sendLine(Child::kSocket, "ready");
    std::string buffer;
    for (auto line = receiveLine(Child::kSocket, buffer); line && *line != "stop";
         line = receiveLine(Child::kSocket, buffer))
      sendLine(Child::kSocket, carryOut(*table, nlohmann::json::parse(*line)).dump());
    life.stop();
    life.destroy();
    return 0;
  } catch (const std::exception &e) {
    sendLine(Child::kSocket, e.what());
    return 1;
  }
}

} // namespace matrixos::conformance
