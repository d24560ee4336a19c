#include "DockerRuntime.h"

#include "ContainerDescription.h"
#include "EngineReplies.h"
#include "PullProgress.h"
#include "RegistryAuth.h"
#include "Text.h"

#include <matrixos/address.hpp>
#include <matrixos/json.hpp>
#include <matrixos/managed/volume_request.hpp>
#include <matrixos/text/time.hpp>
#include <matrixos/text/utf8.hpp>

#include <algorithm>
#include <ctime>
#include <thread>

namespace matrixos::docker {

namespace {

constexpr std::size_t kMaxErrorLines = 5;
constexpr std::chrono::milliseconds kRemovalPoll{50};
/// How long a container may be on its way from one state to another, and how often that is looked at.
constexpr std::chrono::seconds kStateWait{5};
constexpr std::chrono::milliseconds kStatePoll{50};

Error notFound(const std::string &ref) {
  return Error(Status::NotFound, "the engine has no container " + ref, "CONTAINER_NOT_FOUND");
}

RegistryLogin readSpecLogin(const json::Object &auth, const ImageName &image) {
  RegistryLogin login;
  login.username = json::getString(auth, "username");
  login.password = json::getString(auth, "password");
  login.server = json::findString(auth, "server").value_or(image.registry());
  return login;
}

std::string digestAnswer(const ImageInfo &info) {
  return json::dump(json::object(
      {{"digest", info.id}, {"repoDigest", info.repoDigests.empty() ? std::string() : info.repoDigests.front()}}));
}

bool hasAll(const std::map<std::string, std::string> &have, const std::map<std::string, std::string> &wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto &label) {
    const auto found = have.find(label.first);
    return found != have.end() && found->second == label.second;
  });
}

/// Repeats `action` while the engine says that the container is between two states, as Podman does for a start while
/// a stop is under way.
void betweenStates(const Call &call, const std::string &ref, const std::function<void()> &action) {
  const auto until = std::chrono::steady_clock::now() + kStateWait;
  for (;;) {
    try {
      return action();
    } catch (const EngineRefusal &e) {
      if (!e.says("container state improper")) throw;
      if (std::chrono::steady_clock::now() >= until) {
        throw Error(Status::Aborted, ref + " is just being started or stopped: " + e.words(), "STATE_CHANGING", 500);
      }
    }
    call.throwIfDone();
    std::this_thread::sleep_for(kStatePoll);
  }
}

} // namespace

std::string DockerRuntime::capabilities(const Call &call) {
  const EngineVersion version = api_.version(call);
  json::Object::Ptr all = json::object({{"engine", version.engine},
                                        {"engineVersion", version.version},
                                        {"engineApi", version.api},
                                        {"publishesPorts", true},
                                        {"pause", true},
                                        {"volumes", true},
                                        {"stats", true},
                                        {"isolation", "container"}});
  if (const std::string address = hostGateway(call); Address::tryIp(address, 0)) all->set("hostGateway", address);
  return json::dump(all);
}

std::string DockerRuntime::pull(const Call &call, std::string_view requestJson, const ItemFn &progress) {
  const json::Object::Ptr request = json::parseObject(requestJson);
  const ImageName image = ImageName::parse(json::getString(*request, "image"));
  const std::string policy = json::findString(*request, "policy").value_or("missing");
  if (policy != "missing" && policy != "always" && policy != "never") {
    throw Error(Status::InvalidArgument, "\"policy\" has to be missing, always or never", "BAD_FIELD");
  }
  if (policy != "always" || image.isId()) {
    const auto present = api_.inspectImage(call, image.full());
    if (present) return digestAnswer(*present);
    if (policy == "never" || image.isId()) {
      throw Error(Status::NotFound,
                  "the image " + image.full() +
                      " is not on this machine: docker pull or docker load it, or set [orchestrator] image",
                  MOS_REASON_IMAGE_NOT_FOUND);
    }
  }
  const json::Object::Ptr auth = json::findObject(*request, "auth");
  const std::optional<RegistryLogin> login =
      auth ? std::optional(readSpecLogin(*auth, image)) : findLogin(settings_.authFile, image);
  PullProgress sums(progress);
  const bool whole =
      api_.pullImage(call, image, login ? login->header() : "", [&](const PullStep &step) { return sums.step(step); });
  if (!whole || !sums.finish()) throw Error(Status::Cancelled, "the pull of " + image.full() + " was cancelled");
  // Only the image itself proves the pull: an engine that gives up may still end its stream in good order.
  const auto pulled = api_.inspectImage(call, image.full());
  if (!pulled) {
    throw Error(Status::Unavailable,
                "the engine ended the pull of " + image.full() + " without error, yet has no image",
                MOS_REASON_ENGINE_REPLY);
  }
  return digestAnswer(*pulled);
}

ContainerInfo DockerRuntime::require(const Call &call, const std::string &ref) {
  auto info = api_.inspectContainer(call, ref);
  if (!info) throw notFound(ref);
  return *std::move(info);
}

void DockerRuntime::start(const Call &call, std::string_view ref) {
  startVerified(call, std::string(ref));
}

std::string DockerRuntime::startDescribed(const Call &call, std::string_view ref) {
  return json::dump(*describe(startVerified(call, std::string(ref))));
}

ContainerInfo DockerRuntime::startVerified(const Call &call, const std::string &name) {
  try {
    betweenStates(call, name, [&] { startOnce(call, name); });
  } catch (const EngineRefusal &e) {
    // Docker says 404 both when the container and when its network has gone.
    if (e.says("network") && e.says("not found")) {
      repairNetworks(call, name);
      startOnce(call, name);
    } else {
      throw;
    }
  }
  return verifyRunning(call, name);
}

/// Another program may be creating our network at this moment, which Docker lets it do twice for an instant.
void DockerRuntime::startUnambiguously(const Call &call, const std::string &ref) {
  constexpr int kTries = 40;
  for (int attempt = 1;; ++attempt) {
    try {
      return api_.startContainer(call, ref);
    } catch (const EngineRefusal &e) {
      if (!e.says("is ambiguous") || attempt == kTries) throw;
    }
    call.throwIfDone();
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
  }
}

void DockerRuntime::startOnce(const Call &call, const std::string &ref) {
  try {
    startUnambiguously(call, ref);
  } catch (const EngineRefusal &e) {
    if (e.says("port is already allocated") || e.says("address already in use")) {
      const std::lock_guard lock(occupiedMutex_);
      occupied_[ref] = portsNamed(e.words());
      throw Error(Status::Aborted, "a host port of " + ref + " is occupied: " + e.words(), MOS_REASON_PORT_IN_USE);
    }
    if (e.says("network") && e.says("not found")) throw;
    if (e.httpStatus() == 404) throw notFound(ref);
    const auto info = api_.inspectContainer(call, ref);
    if (!info) throw notFound(ref);
    if (info->state == "running") return;
    if (info->state != "paused") throw;
    unpause(call, ref);
  }
}

ContainerInfo DockerRuntime::verifyRunning(const Call &call, const std::string &ref) {
  forgetOccupied(ref);
  ContainerInfo info = require(call, ref);
  if (info.state == "paused") {
    unpause(call, ref);
    info = require(call, ref);
  }
  if (info.state == "running") return rejoinNetwork(call, info) ? require(call, ref) : info;
  std::string why = info.oomKilled ? ", killed for lack of memory" : "";
  if (!info.error.empty()) why += ", " + info.error;
  const std::string lines = lastLines(call, ref);
  throw Error(Status::FailedPrecondition,
              ref + " ended right after its start with exit code " + std::to_string(info.exitCode) + why +
                  (lines.empty() ? "; it wrote nothing" : "; its last words: " + lines),
              "EXITED_AT_START");
}

std::string DockerRuntime::lastLines(const Call &call, const std::string &ref) {
  std::string lines;
  try {
    api_.containerLogs(call, ref, static_cast<std::int64_t>(kMaxErrorLines), false,
                       [&](LogDemuxer::Stream, std::string_view line) {
                         const std::size_t space = line.find(' ');
                         if (!lines.empty()) lines += " | ";
                         lines += tidy(space == std::string_view::npos ? line : line.substr(space + 1), 120);
                         return true;
                       });
  } catch (const Error &) {
    // The exit code is the news; without the log it is still worth telling.
  }
  return lines;
}

void DockerRuntime::stop(const Call &call, std::string_view ref, std::chrono::milliseconds grace) {
  const std::string name(ref);
  betweenStates(call, name, [&] { stopOnce(call, name, grace); });
}

void DockerRuntime::stopOnce(const Call &call, const std::string &name, std::chrono::milliseconds grace) {
  const auto info = api_.inspectContainer(call, name);
  if (!info) return;
  // What is frozen cannot end in good order: Docker would wait for the whole grace period and kill it, Podman refuses.
  if (info->state == "paused") unpause(call, name);
  try {
    api_.stopContainer(call, name, grace);
  } catch (const EngineRefusal &) {
    const auto now = api_.inspectContainer(call, name);
    if (!now || (!now->isUp() && now->state != "restarting")) return;
    throw;
  }
}

void DockerRuntime::remove(const Call &call, std::string_view ref, std::uint32_t flags) {
  const std::string name(ref);
  forgetOccupied(name);
  try {
    api_.removeContainer(call, name, (flags & MOS_REMOVE_FORCE) != 0);
  } catch (const EngineRefusal &e) {
    if (!e.says("already in progress")) {
      if (e.httpStatus() != 409) throw;
      throw Error(Status::FailedPrecondition, name + " runs: stop it first, or remove it by force (" + e.words() + ")",
                  "CONTAINER_RUNNING");
    }
    while (api_.inspectContainer(call, name)) {
      call.throwIfDone();
      std::this_thread::sleep_for(kRemovalPoll);
    }
  }
  if ((flags & MOS_REMOVE_UNUSED_NETWORKS) != 0) removeUnusedNetworks(call);
}

std::string DockerRuntime::inspect(const Call &call, std::string_view ref) {
  json::Object::Ptr description = describe(require(call, std::string(ref)));
  const std::lock_guard lock(occupiedMutex_);
  if (const auto found = occupied_.find(ref); found != occupied_.end()) {
    json::Array::Ptr ports = new json::Array;
    for (const int port : found->second)
      ports->add(port);
    description->set("occupiedPorts", ports);
  }
  return json::dump(*description);
}

void DockerRuntime::forgetOccupied(const std::string &ref) {
  const std::lock_guard lock(occupiedMutex_);
  occupied_.erase(ref);
}

std::string DockerRuntime::endpoints(const Call &call, std::string_view ref) {
  return json::dump(json::Value(endpointsOf(require(call, std::string(ref)))));
}

void DockerRuntime::list(const Call &call, std::string_view labelsJson, const ItemFn &item) {
  // Everything is read before anything is told: half a list would look like lost instances.
  std::vector<std::string> descriptions;
  const Labels labels = parseLabels(labelsJson);
  for (const std::string &id : api_.listContainers(call, labels)) {
    const auto info = api_.inspectContainer(call, id);
    if (info && hasAll(info->labels, labels)) descriptions.push_back(json::dump(*describe(*info)));
  }
  for (const std::string &description : descriptions) {
    if (!item(description)) return;
  }
}

void DockerRuntime::logs(const Call &call, std::string_view ref, std::string_view optionsJson, const ItemFn &line) {
  const json::Object::Ptr options = json::parseObject(optionsJson.empty() ? "{}" : optionsJson);
  const std::int64_t tail = json::getInt(*options, "tail", -1);
  const bool follow = json::getBool(*options, "follow", false);
  const auto send = [&](LogDemuxer::Stream stream, std::string_view text) {
    std::int64_t time = 0;
    const std::size_t space = text.find(' ');
    // A piece of an overlong line has no time of its own.
    if (const auto ms = parseTime(text.substr(0, space))) {
      time = std::max<std::int64_t>(0, *ms);
      text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
    }
    if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
    return line(json::dump(json::object({{"stream", stream == LogDemuxer::Stream::Stdout ? "stdout" : "stderr"},
                                         {"time", time},
                                         {"line", cleanUtf8(text)}})));
  };
  try {
    api_.containerLogs(call, std::string(ref), tail, follow, send);
  } catch (const EngineRefusal &e) {
    if (e.httpStatus() == 404) throw notFound(std::string(ref));
    throw;
  }
}

std::string DockerRuntime::stats(const Call &call, std::string_view ref) {
  const std::string name(ref);
  ContainerStats stats;
  try {
    stats = api_.containerStats(call, name);
  } catch (const EngineRefusal &e) {
    if (e.httpStatus() == 404) throw notFound(name);
    throw;
  }
  return json::dump(json::object({{"cpuNanos", stats.cpuNanos},
                                  {"memoryBytes", stats.memoryBytes},
                                  {"memoryLimitBytes", stats.memoryLimitBytes},
                                  {"pids", stats.pids},
                                  {"networkRxBytes", stats.networkRxBytes},
                                  {"networkTxBytes", stats.networkTxBytes}}));
}

void DockerRuntime::pause(const Call &call, std::string_view ref) {
  const std::string name(ref);
  try {
    api_.pauseContainer(call, name);
  } catch (const EngineRefusal &) {
    const ContainerInfo info = require(call, name);
    if (info.state == "paused") return;
    if (info.state == "running") throw;
    throw Error(Status::FailedPrecondition, name + " does not run (" + info.state + ") and cannot be frozen",
                "NOT_RUNNING");
  }
}

void DockerRuntime::unpause(const Call &call, std::string_view ref) {
  const std::string name(ref);
  try {
    api_.unpauseContainer(call, name);
  } catch (const EngineRefusal &) {
    const ContainerInfo info = require(call, name);
    if (info.state == "running") return;
    if (info.state == "paused") throw;
    throw Error(Status::FailedPrecondition, name + " is not frozen but " + info.state, "NOT_RUNNING");
  }
}

void DockerRuntime::events(const Call &call, std::string_view labelsJson, const ItemFn &item) {
  // From the beginning of this second: nothing falls between the call and the moment the engine listens.
  const Labels labels = parseLabels(labelsJson);
  const bool ended = api_.containerEvents(call, wallClockMs() / 1000, [&](const ContainerEvent &event) {
    std::string name = event.name;
    if (event.type == kDisconnected) {
      // Each container leaves its networks when it ends, and another event tells of that.
      const auto info = api_.inspectContainer(call, event.id);
      if (!info || info->state != "running" || !hasAll(info->labels, labels)) return true;
      name = info->name;
    } else if (!hasAll(event.attributes, labels)) {
      return true;
    }
    return item(json::dump(json::object({{"type", event.type},
                                         {"ref", event.id},
                                         {"name", name},
                                         {"time", event.timeMs},
                                         {"exitCode", event.exitCode}})));
  });
  if (ended) {
    throw Error(Status::Unavailable, "the engine ended its stream of events; it may be restarting",
                MOS_REASON_ENGINE_UNREACHABLE, 1000);
  }
}

std::string DockerRuntime::volumeEnsure(const Call &, std::string_view requestJson) {
  const managed::VolumeRequest request = managed::VolumeRequest::parse(requestJson);
  const std::string &path = request.hostPath;
  if (path.empty()) {
    throw Error(Status::InvalidArgument, "\"hostPath\" is missing: volumes of this runtime are directories of the host",
                "BAD_VOLUME");
  }
  return json::dump(json::object({{"created", volumes_.ensure(path, request.known)}, {"volume", path}}));
}

void DockerRuntime::volumeTrash(const Call &, std::string_view volume, std::string_view as) {
  volumes_.trash(std::string(volume), std::string(as));
}

void DockerRuntime::volumeRemoveIfEmpty(const Call &, std::string_view volume) {
  volumes_.removeIfEmpty(std::string(volume));
}

void DockerRuntime::volumeSnapshot(const Call &call, std::string_view volume, std::string_view as) {
  volumes_.snapshot(call, std::string(volume), std::string(as));
}

} // namespace matrixos::docker
