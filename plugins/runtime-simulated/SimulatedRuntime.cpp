#include "SimulatedRuntime.h"

#include "Random.h"

#include <matrixos/json.hpp>
#include <matrixos/json_text.hpp>

#include <algorithm>

namespace matrixos::simulated {

namespace {

/// A pull reports about five times a second.
constexpr std::chrono::milliseconds kProgressPause{200};

std::string words(const InjectedFault &fault, CallKind kind, const char *what) {
  if (!fault.message.empty()) return fault.message;
  return std::string(what) + " (a fault of " + std::string(nameOf(kind)) + " that the script asks for)";
}

Error lostReply(const InjectedFault &fault, CallKind kind) {
  return Error(Status::Unavailable, words(fault, kind, "the engine's answer was lost"), MOS_REASON_ENGINE_UNREACHABLE);
}

Error cutShort(const std::string &what) {
  return Error(Status::Unavailable, "the engine ended " + what + " in the middle (the fault script asks for it)",
               MOS_REASON_ENGINE_REPLY);
}

/// Throws what the fault does to a call in place of its effect; returns for those that let it have its effect.
void refuse(const InjectedFault &fault, CallKind kind, EngineClock &clock, const Call &call) {
  const bool pull = kind == CallKind::Pull;
  switch (fault.effect) {
  case Effect::NotFound:
    throw Error(Status::NotFound, words(fault, kind, "the engine has no such thing"),
                pull ? MOS_REASON_IMAGE_NOT_FOUND : "CONTAINER_NOT_FOUND");
  case Effect::AlreadyExists:
    throw Error(Status::AlreadyExists, words(fault, kind, "the name is taken"), MOS_REASON_NAME_IN_USE);
  case Effect::PortInUse:
    throw Error(Status::Aborted, words(fault, kind, "a host port is occupied"), MOS_REASON_PORT_IN_USE);
  case Effect::Denied:
    throw Error(Status::PermissionDenied, words(fault, kind, "the engine denies it"),
                pull ? MOS_REASON_IMAGE_DENIED : MOS_REASON_ENGINE_DENIED);
  case Effect::Internal:
    throw Error(Status::Internal, words(fault, kind, "the engine failed"));
  case Effect::Unavailable:
    throw Error(Status::Unavailable, words(fault, kind, "the engine cannot be reached"), MOS_REASON_ENGINE_UNREACHABLE);
  case Effect::Hang:
    clock.hang(call);
  case Effect::HangForever:
    clock.hangForever();
  case Effect::LostReply:
  case Effect::HalfList:
  case Effect::HalfReply:
  case Effect::Slow:
  case Effect::Exit:
    return;
  }
}

} // namespace

SimulatedRuntime::SimulatedRuntime(SimulatedEngine &engine, FaultScript &faults, FaultFile *file, CallObserver observer)
    : engine_(engine), clock_(engine.clock()), faults_(faults), file_(file), observer_(std::move(observer)) {}

void SimulatedRuntime::setPace(const Pace &pace) {
  const std::lock_guard lock(mutex_);
  pace_ = pace;
}

Pace SimulatedRuntime::pace() const {
  const std::lock_guard lock(mutex_);
  return pace_;
}

std::string SimulatedRuntime::countersJson() const {
  JsonObject all;
  for (std::size_t i = 0; i < counters_.size(); ++i) {
    const Counter &counter = counters_[i];
    if (counter.calls == 0) continue;
    JsonObject one;
    one.add("calls", counter.calls.load()).add("failed", counter.failed.load()).add("running", counter.running.load());
    all.addRaw(kCallNames[i], std::move(one).str());
  }
  return std::move(all).str();
}

std::optional<InjectedFault> SimulatedRuntime::meet(CallKind kind, const Call &call, std::string_view subject) {
  if (file_ != nullptr) file_->refresh();
  auto fault = faults_.decide(kind, subject);
  if (!fault) return fault;
  observer_.struck(fault->effect);
  if (fault->delay.count() > 0) clock_.sleep(call, fault->delay);
  refuse(*fault, kind, clock_, call);
  return fault;
}

/// The way of every call. `effect` gets a Step and gives the reply, or nothing.
auto SimulatedRuntime::perform(CallKind kind, const Call &call, std::string_view subject, Wait wait, auto effect) {
  const EngineClock::Turn turn(clock_);
  Counter &counter = counters_[indexOf(kind)];
  const std::uint64_t number = ++counter.calls;
  ++counter.running;
  struct Leave {
    Counter &counter;
    ~Leave() { --counter.running; }
  } leave{counter};
  try {
    call.throwIfDone();
    Step step;
    step.latency = pace().of(kind).at(fractionAt(engine_.options().seed, indexOf(kind), number));
    const auto fault = meet(kind, call, subject);
    if (wait == Wait::Before && step.latency.count() > 0) clock_.sleep(call, step.latency);
    step.half = fault && fault->effect == Effect::HalfList;
    step.exits = fault && fault->effect == Effect::Exit;
    const auto finish = [&] {
      if (fault && fault->effect == Effect::LostReply) throw lostReply(*fault, kind);
      observer_.called(kind, Status::Ok);
    };
    if constexpr (std::is_void_v<decltype(effect(step))>) {
      effect(step);
      finish();
    } else {
      auto reply = effect(step);
      finish();
      if (fault && fault->effect == Effect::HalfReply) reply.resize(reply.size() / 2);
      return reply;
    }
  } catch (const Error &e) {
    ++counter.failed;
    observer_.called(kind, e.status());
    throw;
  }
}

std::string SimulatedRuntime::capabilities(const Call &call) {
  return perform(CallKind::Capabilities, call, "", [&](const Step &) { return engine_.capabilities(); });
}

// ---- images

std::string SimulatedRuntime::pull(const Call &call, std::string_view requestJson, const ItemFn &progress) {
  const json::Object::Ptr request = json::parseObject(requestJson);
  const std::string image = json::getString(*request, "image");
  const std::string policy = json::findString(*request, "policy").value_or("missing");
  if (image.empty()) throw Error(Status::InvalidArgument, "\"image\" is empty", "BAD_FIELD");
  if (policy != "missing" && policy != "always" && policy != "never") {
    throw Error(Status::InvalidArgument, "\"policy\" has to be missing, always or never", "BAD_FIELD");
  }
  return perform(CallKind::Pull, call, image, Wait::ByEffect, [&](const Step &step) {
    std::string digest;
    if (policy != "always") digest = engine_.findImage(image).value_or("");
    if (digest.empty() && policy == "never") {
      throw Error(Status::NotFound, "the image " + image + " is not here, and the policy is never to pull",
                  MOS_REASON_IMAGE_NOT_FOUND);
    }
    if (digest.empty()) digest = fetch(call, image, step, progress);
    JsonObject answer;
    answer.add("digest", digest);
    return std::move(answer).str();
  });
}

std::string SimulatedRuntime::fetch(const Call &call, const std::string &image, const Step &step,
                                    const ItemFn &progress) {
  static_cast<void>(engine_.registryDigest(image)); // throws when there is none
  const std::int64_t total = pace().imageBytes;
  const std::int64_t steps = std::clamp<std::int64_t>(step.latency / kProgressPause, 1, 1000);
  for (std::int64_t done = 0; done <= steps; ++done) {
    JsonObject item;
    item.add("phase", done == steps ? "done" : "downloading");
    item.add("current", total / steps * done + (done == steps ? total % steps : 0)).add("total", total);
    if (!progress(std::move(item).str())) throw Error(Status::Cancelled, "the pull of " + image + " was cancelled");
    if (step.half && done * 2 >= steps) throw cutShort("the pull of " + image);
    if (done < steps) clock_.sleep(call, step.latency / steps);
  }
  return engine_.fetchImage(image);
}

// ---- containers

std::string SimulatedRuntime::create(const Call &call, std::string_view specJson) {
  const Spec spec = Spec::parse(specJson);
  return perform(CallKind::Create, call, spec.name, [&](const Step &) {
    JsonObject answer(32);
    answer.add("ref", engine_.create(spec, call.operationId()));
    return std::move(answer).str();
  });
}

void SimulatedRuntime::start(const Call &call, std::string_view ref) {
  perform(CallKind::Start, call, subjectOf(ref), [&](const Step &step) { startNow(ref, step); });
}

std::string SimulatedRuntime::startDescribed(const Call &call, std::string_view ref) {
  return perform(CallKind::Start, call, subjectOf(ref), [&](const Step &step) {
    startNow(ref, step);
    return engine_.inspect(ref);
  });
}

void SimulatedRuntime::startNow(std::string_view ref, const Step &step) {
  engine_.start(ref);
  if (!step.exits) return;
  engine_.die(ref, 1, false, SimulatedEngine::Again::Never);
  throw Error(Status::FailedPrecondition,
              std::string(ref) + " ended right after its start with exit code 1; see its log", "EXITED_AT_START");
}

void SimulatedRuntime::stop(const Call &call, std::string_view ref, std::chrono::milliseconds grace) {
  perform(CallKind::Stop, call, subjectOf(ref), Wait::ByEffect, [&](const Step &step) {
    const bool killed = step.latency > grace;
    if (const auto wait = std::min(step.latency, grace); wait.count() > 0) clock_.sleep(call, wait);
    engine_.stop(ref, killed);
  });
}

void SimulatedRuntime::remove(const Call &call, std::string_view ref, std::uint32_t flags) {
  perform(CallKind::Remove, call, subjectOf(ref), [&](const Step &) { engine_.remove(ref, flags); });
}

std::string SimulatedRuntime::inspect(const Call &call, std::string_view ref) {
  return perform(CallKind::Inspect, call, subjectOf(ref), [&](const Step &) { return engine_.inspect(ref); });
}

void SimulatedRuntime::list(const Call &call, std::string_view labelsJson, const ItemFn &item) {
  const Labels labels = parseLabels(labelsJson);
  perform(CallKind::List, call, "", [&](const Step &step) {
    if (!step.half) return engine_.list(labels, item);
    engine_.list(labels, item, engine_.count(labels) / 2);
    throw cutShort("its list");
  });
}

void SimulatedRuntime::logs(const Call &call, std::string_view ref, std::string_view optionsJson, const ItemFn &line) {
  const json::Object::Ptr options = json::parseObject(optionsJson.empty() ? "{}" : optionsJson);
  const std::int64_t tail = json::getInt(*options, "tail", -1);
  const bool follow = json::getBool(*options, "follow", false);
  perform(CallKind::Logs, call, subjectOf(ref), [&](const Step &step) {
    if (!step.half) return engine_.logs(call, ref, tail, follow, line);
    engine_.logs(call, ref, tail, false, [&](std::string_view item) { return line(item) && false; });
    throw cutShort("the log");
  });
}

std::string SimulatedRuntime::stats(const Call &call, std::string_view ref) {
  if (!engine_.options().stats) throw unimplemented("stats");
  return perform(CallKind::Stats, call, subjectOf(ref), [&](const Step &) { return engine_.stats(ref); });
}

void SimulatedRuntime::pause(const Call &call, std::string_view ref) {
  if (!engine_.options().pause) throw unimplemented("pause");
  perform(CallKind::Pause, call, subjectOf(ref), [&](const Step &) { engine_.pause(ref); });
}

void SimulatedRuntime::unpause(const Call &call, std::string_view ref) {
  if (!engine_.options().pause) throw unimplemented("pause");
  perform(CallKind::Unpause, call, subjectOf(ref), [&](const Step &) { engine_.unpause(ref); });
}

void SimulatedRuntime::events(const Call &call, std::string_view labelsJson, const ItemFn &item) {
  const Labels labels = parseLabels(labelsJson);
  perform(CallKind::Events, call, "", [&](const Step &step) {
    if (!step.half) return engine_.events(call, labels, item);
    engine_.events(call, labels, [&](std::string_view event) { return item(event) && false; });
    throw cutShort("its events");
  });
}

std::string SimulatedRuntime::endpoints(const Call &call, std::string_view ref) {
  return perform(CallKind::Endpoints, call, subjectOf(ref), [&](const Step &) { return engine_.endpoints(ref); });
}

// ---- volumes

std::string SimulatedRuntime::volumeEnsure(const Call &call, std::string_view requestJson) {
  if (!engine_.options().volumes) throw unimplemented("volumes");
  const json::Object::Ptr request = json::parseObject(requestJson);
  const std::string name = json::findString(*request, "name").value_or("");
  const std::string hostPath = json::findString(*request, "hostPath").value_or("");
  const bool exists = json::getBool(*request, "exists", false);
  return perform(CallKind::VolumeEnsure, call, name, [&](const Step &) {
    // Its volumes hold nothing, so one that the engine forgot at its end is as it was.
    const auto [ref, created] = engine_.ensureVolume(name, hostPath, call.operationId());
    JsonObject answer;
    answer.add("volume", ref).add("created", created && !exists);
    return std::move(answer).str();
  });
}

void SimulatedRuntime::volumeTrash(const Call &call, std::string_view volume, std::string_view as) {
  if (!engine_.options().volumes) throw unimplemented("volumes");
  perform(CallKind::VolumeTrash, call, volume,
          [&](const Step &) { engine_.trashVolume(std::string(volume), std::string(as)); });
}

void SimulatedRuntime::volumeRemoveIfEmpty(const Call &call, std::string_view volume) {
  if (!engine_.options().volumes) throw unimplemented("volumes");
  perform(CallKind::VolumeRemoveIfEmpty, call, volume,
          [&](const Step &) { engine_.removeVolume(std::string(volume)); });
}

void SimulatedRuntime::volumeSnapshot(const Call &call, std::string_view volume, std::string_view as) {
  if (!engine_.options().volumes) throw unimplemented("volumes");
  perform(CallKind::VolumeSnapshot, call, volume,
          [&](const Step &) { engine_.snapshotVolume(std::string(volume), std::string(as)); });
}

} // namespace matrixos::simulated
