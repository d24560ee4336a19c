/// matrixos/managed/managed_runtime_impl.hpp: bodies of managed_runtime.hpp, which includes it.
#pragma once

#include <matrixos/host_ports.hpp>
#include <matrixos/managed_runtime.hpp>
#include <matrixos/text/time.hpp>
#include <matrixos/ulid.hpp>

namespace matrixos {
inline namespace v1 {

// ---- states

/// The instance as it is now: one that died unseen is noted.
inline ManagedRuntime::InstancePtr ManagedRuntime::current(Turn &turn) {
  const InstancePtr instance = turn.instance();
  if (instance->isUp() && !isAlive(*instance)) noteDeath(turn);
  return turn.instance();
}

inline void ManagedRuntime::keep(Turn &turn, const InstancePtr &instance) {
  records_->write(instance->ref, managed::toRecord(*instance));
  turn.set(instance);
}

/// It is over, whether or not the disk takes it.
inline void ManagedRuntime::noteDeath(Turn &turn) {
  Instance next = *turn.instance();
  deaths_.remove(next.ref);
  next.lastExit = exitOf(next);
  next.state = Instance::State::Exited;
  next.token.clear();
  const auto instance = std::make_shared<const Instance>(std::move(next));
  turn.set(instance);
  try {
    keep(turn, instance);
  } catch (const Error &e) {
    warn("the end of " + instance->spec.name + " was not recorded: " + e.what());
  }
  if (instance->lastExit.oomKilled) tell("oom", *instance);
  tell("died", *instance);
}

inline void ManagedRuntime::keepToken(const Instance &instance, const std::string &token) {
  auto next = std::make_shared<Instance>(instance);
  next->token = token;
  records_->write(next->ref, managed::toRecord(*next));
  book_.replace(next);
}

inline void ManagedRuntime::tell(const char *type, const Instance &instance) {
  hub_.publish(instance.spec.labels, managed::dump(managed::Json{{"type", type},
                                                                 {"ref", instance.ref},
                                                                 {"name", instance.spec.name},
                                                                 {"time", wallClockMs()},
                                                                 {"exitCode", instance.lastExit.code}}));
}

// ---- create, start, stop, remove

inline std::string ManagedRuntime::create(const Call &call, std::string_view specJson) {
  call.throwIfDone();
  auto fresh = std::make_shared<Instance>();
  fresh->spec = InstanceSpec::parse(specJson);
  fresh->ref = makeUlid();
  fresh->createdAt = wallClockMs();
  const std::string operation(call.operationId());
  if (!operation.empty() && managed::isClean(operation)) fresh->spec.labels.emplace(MOS_LABEL_OPERATION, operation);
  auto [turn, made] = book_.takeOrAdd(call, fresh);
  if (!made) return managed::dump(managed::Json{{"ref", adopt(*turn.instance(), fresh->spec)}});
  try {
    begin(call); // only now: recover() knows of it, or has ended
    for (const InstanceSpec::Volume &volume : fresh->spec.volumes)
      checkVolume(call, volume.volume);
    keep(turn, fresh);
    prepare(call, *fresh);
    auto created = std::make_shared<Instance>(*fresh);
    created->state = Instance::State::Created;
    keep(turn, created);
  } catch (...) {
    guarded(nullptr, [&] { discard(Call(nullptr), *fresh); });
    guarded(nullptr, [&] { records_->remove(fresh->ref); });
    turn.erase();
    throw;
  }
  tell("created", *fresh);
  return managed::dump(managed::Json{{"ref", fresh->ref}});
}

/// The ref of the one that has the name already, when it is the same by label.
inline std::string ManagedRuntime::adopt(const Instance &holder, const InstanceSpec &wanted) {
  const auto same = [&](const char *label) {
    return !wanted.label(label).empty() && holder.spec.label(label) == wanted.label(label);
  };
  const bool ours = holder.spec.label(MOS_LABEL_INSTALL) == wanted.label(MOS_LABEL_INSTALL);
  if (ours && (same(MOS_LABEL_OPERATION) || same(MOS_LABEL_SPEC_HASH))) return holder.ref;
  throw Error(Status::AlreadyExists,
              "the name " + wanted.name + " is taken by " + holder.ref + ", made from another spec: remove that one",
              MOS_REASON_NAME_IN_USE);
}

inline void ManagedRuntime::start(const Call &call, std::string_view ref) {
  begin(call);
  Turn turn = book_.take(call, ref);
  const InstancePtr instance = current(turn);
  if (instance->state == Instance::State::Running) return;
  if (instance->state == Instance::State::Paused) return thawHeld(call, turn);
  Instance next = *instance;
  next.state = Instance::State::Starting;
  next.error.clear();
  next.lastExit = {0, false};
  next.runs += 1;
  claimPorts(turn, std::make_shared<const Instance>(next));
  try {
    next.token = launch(call, next);
    next.state = Instance::State::Running;
    next.startedAt = wallClockMs();
    turn.set(std::make_shared<const Instance>(next));
    keep(turn, turn.instance());
  } catch (const std::exception &e) {
    takeBack(turn, *instance, e.what());
    throw;
  }
  watchDeath(next);
  tell("started", next);
  if (isAlive(next)) return;
  noteDeath(turn);
  const Exit exit = turn.instance()->lastExit;
  const std::string words = lastWords(next);
  throw Error(Status::FailedPrecondition,
              next.spec.name + " ended right after its start" +
                  (exit.code < 0 ? std::string() : " with exit code " + std::to_string(exit.code)) +
                  (exit.oomKilled ? ", out of memory" : "") + (words.empty() ? "" : "; its last words: " + words),
              "EXITED_AT_START");
}

inline std::string ManagedRuntime::lastWords(const Instance &instance) {
  constexpr std::size_t kMaxWords = 300;
  std::string words;
  LogOptions options;
  options.tail = 3;
  const CallScope scope(std::chrono::seconds{2});
  guarded(nullptr, [&] {
    readLogs(Call(scope.abi()), instance, options, [&](std::string_view, std::int64_t, std::string_view line) {
      words += (words.empty() ? "" : " | ") + std::string(line.substr(0, kMaxWords));
      return words.size() < kMaxWords;
    });
  });
  return words;
}

/// Two instances never run on one host port, whoever of them is first to listen.
inline void ManagedRuntime::claimPorts(Turn &turn, const InstancePtr &next) {
  std::uint16_t taken = 0;
  const InstancePtr other = turn.setUnless(next, [&](const Instance &candidate) {
    if (!candidate.isUp() && candidate.state != Instance::State::Starting) return false;
    for (const InstanceSpec::Port &mine : next->spec.ports) {
      for (const InstanceSpec::Port &theirs : candidate.spec.ports) {
        if (mine.hostPort == 0 || mine.hostPort != theirs.hostPort) continue;
        taken = mine.hostPort;
        return true;
      }
    }
    return false;
  });
  if (!other) return;
  throw Error(Status::Aborted, "host port " + std::to_string(taken) + " is in use by " + other->spec.name,
              MOS_REASON_PORT_IN_USE);
}

/// After a start that failed: nothing of it runs, and the instance is what it was.
inline void ManagedRuntime::takeBack(Turn &turn, const Instance &before, const char *why) {
  const InstancePtr left = turn.instance();
  if (!left->token.empty()) {
    // The call itself may be what is over.
    const CallScope scope(std::chrono::seconds{10});
    guarded(nullptr, [&] { end(Call(scope.abi()), *left, std::chrono::milliseconds{0}); });
    guarded(nullptr, [&] { static_cast<void>(exitOf(*left)); });
  }
  auto next = std::make_shared<Instance>(before);
  next->runs = left->runs;
  next->error = why;
  turn.set(next);
  guarded(nullptr, [&] { keep(turn, next); });
}

inline void ManagedRuntime::thawHeld(const Call &call, Turn &turn) {
  Instance next = *turn.instance();
  thaw(call, next);
  next.state = Instance::State::Running;
  keep(turn, std::make_shared<const Instance>(next));
  tell("unpaused", next);
}

inline void ManagedRuntime::endHeld(const Call &call, Turn &turn, std::chrono::milliseconds grace) {
  // What is frozen cannot end in good order.
  if (turn.instance()->state == Instance::State::Paused) thawHeld(call, turn);
  end(call, *turn.instance(), std::max(grace, std::chrono::milliseconds{0}));
  noteDeath(turn);
}

inline void ManagedRuntime::stop(const Call &call, std::string_view ref, std::chrono::milliseconds grace) {
  begin(call);
  std::optional<Turn> turn = book_.takeIfAny(call, ref);
  if (!turn || !current(*turn)->isUp()) return;
  endHeld(call, *turn, grace);
  tell("stopped", *turn->instance());
}

inline void ManagedRuntime::remove(const Call &call, std::string_view ref, std::uint32_t flags) {
  begin(call);
  std::optional<Turn> turn = book_.takeIfAny(call, ref);
  if (!turn) return;
  const InstancePtr instance = current(*turn);
  if (instance->isUp()) {
    if ((flags & MOS_REMOVE_FORCE) == 0) {
      throw Error(Status::FailedPrecondition,
                  instance->spec.name + " runs: stop it first, or remove it by force (MOS_REMOVE_FORCE)",
                  "CONTAINER_RUNNING");
    }
    endHeld(call, *turn, std::chrono::milliseconds{0});
  }
  discard(call, *instance);
  records_->remove(instance->ref);
  turn->erase();
  tell("removed", *turn->instance());
}

// ---- pause

inline void ManagedRuntime::pause(const Call &call, std::string_view ref) {
  call.throwIfDone();
  if (!ask(call).pause) throw unimplemented("pause");
  Turn turn = book_.take(call, ref);
  Instance next = *current(turn);
  if (next.state == Instance::State::Paused) return;
  requireUp(next);
  freeze(call, next);
  next.state = Instance::State::Paused;
  keep(turn, std::make_shared<const Instance>(next));
  tell("paused", next);
}

inline void ManagedRuntime::unpause(const Call &call, std::string_view ref) {
  call.throwIfDone();
  if (!ask(call).pause) throw unimplemented("pause");
  Turn turn = book_.take(call, ref);
  const InstancePtr instance = current(turn);
  requireUp(*instance);
  if (instance->state == Instance::State::Paused) thawHeld(call, turn);
}

inline void ManagedRuntime::requireUp(const Instance &instance) {
  if (instance.isUp()) return;
  throw Error(Status::FailedPrecondition,
              instance.spec.name + " does not run (" + managed::publicState(instance) + "): start it first",
              "NOT_RUNNING");
}

// ---- what it tells

inline std::string ManagedRuntime::capabilities(const Call &call) {
  const EngineInfo info = ask(call);
  managed::Json answer{
      {"engine", info.engine},      {"engineVersion", info.version}, {"publishesPorts", info.publishesPorts},
      {"pause", info.pause},        {"volumes", info.volumes},       {"stats", info.stats},
      {"isolation", info.isolation}};
  for (const auto &[key, value] : info.notes)
    answer.emplace(key, value);
  return managed::dump(answer);
}

inline std::string ManagedRuntime::pull(const Call &call, std::string_view requestJson, const ItemFn &progress) {
  call.throwIfDone();
  const managed::Json request = managed::parseObject(requestJson);
  const std::string image = managed::text(request, "image");
  const std::string policy = managed::textOr(request, "policy", "missing");
  if (image.empty() || !managed::isClean(image)) throw managed::badField(shown(image) + " is no image's name");
  if (policy != "missing" && policy != "always" && policy != "never") {
    throw managed::badField("\"policy\" has to be missing, always or never");
  }
  return managed::dump(managed::Json{{"digest", pullImage(call, image, policy, progress)}});
}

/// Looked at anew, unless an operation is at it, which will note what it finds.
inline ManagedRuntime::InstancePtr ManagedRuntime::look(const Call &call, std::string_view ref) {
  begin(call);
  InstancePtr instance = book_.find(ref);
  if (!instance) throw managed::Book::notFound(ref);
  if (!instance->isUp()) return instance;
  std::optional<Turn> turn = book_.tryTake(instance->ref);
  return turn ? current(*turn) : instance;
}

inline std::string ManagedRuntime::inspect(const Call &call, std::string_view ref) {
  const InstancePtr instance = look(call, ref);
  managed::Json description = describe(*instance);
  if (!instance->isUp()) description["occupiedPorts"] = occupiedPorts(*instance);
  return managed::dump(description);
}

/// The host ports of an instance that does not run that another one has claimed, or that somebody listens on.
inline std::vector<std::uint16_t> ManagedRuntime::occupiedPorts(const Instance &instance) const {
  const std::vector<InstancePtr> all = book_.all();
  const auto isClaimed = [&](std::uint16_t hostPort) {
    return std::any_of(all.begin(), all.end(), [&](const InstancePtr &other) {
      const std::vector<InstanceSpec::Port> &ports = other->spec.ports;
      return other->isUp() && other->ref != instance.ref &&
             std::any_of(ports.begin(), ports.end(), [&](const auto &port) { return port.hostPort == hostPort; });
    });
  };
  std::vector<std::uint16_t> occupied;
  for (const InstanceSpec::Port &port : instance.spec.ports) {
    if (port.hostPort == 0) continue;
    if (isClaimed(port.hostPort) || !isPortFree(port.hostAddress, port.hostPort)) occupied.push_back(port.hostPort);
  }
  return occupied;
}

inline std::string ManagedRuntime::endpoints(const Call &call, std::string_view ref) {
  return managed::dump(endpointsJson(*look(call, ref)));
}

inline void ManagedRuntime::list(const Call &call, std::string_view labelsJson, const ItemFn &item) {
  call.throwIfDone();
  const Labels filter = managed::parseLabels(labelsJson);
  static_cast<void>(ask(call)); // while the engine is away, what is known here may be wrong
  std::vector<std::string> descriptions;
  for (const InstancePtr &instance : book_.all()) {
    if (managed::matches(filter, instance->spec.labels)) descriptions.push_back(managed::dump(describe(*instance)));
  }
  for (const std::string &description : descriptions) {
    call.throwIfDone();
    if (!item(description)) return;
  }
}

inline managed::Json ManagedRuntime::endpointsJson(const Instance &instance) {
  managed::Json list = managed::Json::array();
  if (!instance.isUp()) return list;
  for (const Endpoint &endpoint : endpointsOf(instance)) {
    list.push_back(managed::Json{{"name", endpoint.name},
                                 {"address", endpoint.address},
                                 {"port", endpoint.port},
                                 {"scope", endpoint.scope},
                                 {"epoch", endpoint.epoch.empty() ? instance.epoch() : endpoint.epoch}});
  }
  return list;
}

inline managed::Json ManagedRuntime::describe(const Instance &instance) {
  return managed::Json{{"ref", instance.ref},
                       {"name", instance.spec.name},
                       {"state", managed::publicState(instance)},
                       {"image", instance.spec.image},
                       {"imageDigest", ""},
                       {"labels", instance.spec.labels},
                       {"createdAt", instance.createdAt},
                       {"startedAt", instance.startedAt},
                       {"exitCode", instance.lastExit.code},
                       {"oomKilled", instance.lastExit.oomKilled},
                       {"error", instance.error},
                       {"health", "none"},
                       {"endpoints", endpointsJson(instance)}};
}

inline std::vector<Endpoint> ManagedRuntime::hostEndpoints(const Instance &instance) {
  std::vector<Endpoint> list;
  for (const InstanceSpec::Port &port : instance.spec.ports) {
    if (port.hostPort == 0) continue;
    const bool any = port.hostAddress == "0.0.0.0" || port.hostAddress == "::";
    list.push_back({port.name, any ? "127.0.0.1" : port.hostAddress, port.hostPort});
  }
  return list;
}

inline void ManagedRuntime::logs(const Call &call, std::string_view ref, std::string_view optionsJson,
                                 const ItemFn &line) {
  const InstancePtr instance = look(call, ref);
  const managed::Json object = managed::parseObject(optionsJson.empty() ? "{}" : optionsJson);
  LogOptions options;
  options.tail = managed::integerOr(object, "tail", -1);
  options.follow = managed::flagOr(object, "follow", false);
  readLogs(call, *instance, options, [&](std::string_view stream, std::int64_t timeMs, std::string_view text) {
    return line(managed::dump(managed::Json{{"stream", stream}, {"time", timeMs}, {"line", text}}));
  });
}

inline std::string ManagedRuntime::stats(const Call &call, std::string_view ref) {
  if (!ask(call).stats) throw unimplemented("stats");
  const InstancePtr instance = look(call, ref);
  const Usage used = instance->isUp() ? usage(call, *instance) : Usage{};
  return managed::dump(managed::Json{{"cpuNanos", used.cpuNanos},
                                     {"memoryBytes", used.memoryBytes},
                                     {"memoryLimitBytes", used.memoryLimitBytes},
                                     {"pids", used.pids},
                                     {"networkRxBytes", used.networkRxBytes},
                                     {"networkTxBytes", used.networkTxBytes}});
}

inline void ManagedRuntime::events(const Call &call, std::string_view labelsJson, const ItemFn &item) {
  hub_.subscribe(call, managed::parseLabels(labelsJson), item);
}

// ---- volumes

inline void ManagedRuntime::checkVolume(const Call &call, const std::string &volume) {
  if (ask(call).volumes) volumes_.check(volume);
}

inline std::string ManagedRuntime::volumeEnsure(const Call &call, std::string_view requestJson) {
  call.throwIfDone();
  if (!ask(call).volumes) throw unimplemented("volumes");
  managed::VolumeRequest request = managed::VolumeRequest::parse(requestJson);
  if (request.hostPath.empty()) {
    const std::string &name = request.name;
    if (!isEngineName(name)) throw Error(Status::InvalidArgument, shown(name) + " is no volume's name", "BAD_VOLUME");
    request.hostPath = options_.stateDir + "/volumes/" + name + "/data";
  }
  const bool created = volumes_.ensure(request.hostPath, request.known);
  return managed::dump(managed::Json{{"volume", request.hostPath}, {"created", created}});
}

inline void ManagedRuntime::volumeTrash(const Call &call, std::string_view volume, std::string_view as) {
  call.throwIfDone();
  if (!ask(call).volumes) throw unimplemented("volumes");
  volumes_.trash(std::string(volume), std::string(as));
}

inline void ManagedRuntime::volumeRemoveIfEmpty(const Call &call, std::string_view volume) {
  call.throwIfDone();
  if (!ask(call).volumes) throw unimplemented("volumes");
  volumes_.removeIfEmpty(std::string(volume));
}

inline void ManagedRuntime::volumeSnapshot(const Call &call, std::string_view volume, std::string_view as) {
  call.throwIfDone();
  if (!ask(call).volumes) throw unimplemented("volume snapshots");
  volumes_.snapshot(call, std::string(volume), std::string(as));
}

} // namespace v1
} // namespace matrixos
