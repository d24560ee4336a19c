#include "EngineReplies.h"

#include "Text.h"

#include <matrixos/abi/runtime.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

namespace matrixos::docker {

namespace {

constexpr std::size_t kMaxWords = 300;

/// Docker's and Podman's actions, and the events that they are in the contract's words.
constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kEventTypes{{{"create", "created"},
                                                                                     {"start", "started"},
                                                                                     {"stop", "stopped"},
                                                                                     {"die", "died"},
                                                                                     {"died", "died"},
                                                                                     {"pause", "paused"},
                                                                                     {"unpause", "unpaused"},
                                                                                     {"destroy", "removed"},
                                                                                     {"remove", "removed"},
                                                                                     {"oom", "oom"},
                                                                                     {"restart", "started"},
                                                                                     {"disconnect", kDisconnected}}};

/// A count, which some engines write as a number beyond int64 or below zero; clamped.
std::uint64_t readCount(const json::Object &object, const std::string &key) {
  const json::Value value = object.get(key);
  if (value.isEmpty()) return 0;
  if (!value.isNumeric() || value.isString()) throw Error(Status::InvalidArgument, "\"" + key + "\" is no number");
  const double rough = value.convert<double>();
  if (!(rough > 0)) return 0;
  // 2^63 is the first double that no int64 holds.
  return rough >= 9223372036854775808.0 ? UINT64_C(0x7FFFFFFFFFFFFFFF) : value.convert<Poco::UInt64>();
}

std::string text(const json::Object &object, const std::string &key) {
  return json::findString(object, key).value_or("");
}

std::string imageId(std::string id) {
  const bool bare = id.size() == 64 && id.find_first_not_of("0123456789abcdef") == std::string::npos;
  return bare ? "sha256:" + id : id;
}

/// Docker's and Podman's states in the contract's words.
std::string contractState(const std::string &state) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kStates{{{"created", "created"},
                                                                                          {"configured", "created"},
                                                                                          {"initialized", "created"},
                                                                                          {"running", "running"},
                                                                                          {"stopping", "running"},
                                                                                          {"paused", "paused"},
                                                                                          {"restarting", "restarting"},
                                                                                          {"exited", "exited"},
                                                                                          {"stopped", "exited"},
                                                                                          {"removing", "dead"},
                                                                                          {"dead", "dead"},
                                                                                          {"unknown", "dead"}}};
  for (const auto &[theirs, ours] : kStates) {
    if (state == theirs) return std::string(ours);
  }
  throw Error(Status::InvalidArgument, "the state \"" + tidy(state, 40) + "\" is unknown");
}

std::uint16_t portNumber(std::string_view digits) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size()) {
    throw Error(Status::InvalidArgument, "\"" + tidy(digits, 20) + "\" is no port");
  }
  return port;
}

void readPorts(const json::Object &settings, ContainerInfo &info) {
  const json::Object::Ptr ports = json::findObject(settings, "Ports");
  if (!ports) return;
  for (const auto &[key, value] : *ports) {
    const std::size_t slash = key.find('/');
    if (slash == std::string::npos || key.substr(slash) != "/tcp") continue;
    const json::Array::Ptr bindings = json::findArray(*ports, key);
    if (!bindings) continue;
    for (const json::Value &item : *bindings) {
      if (item.type() != typeid(json::Object::Ptr))
        throw Error(Status::InvalidArgument, "a port's binding is no object");
      const json::Object &binding = *item.extract<json::Object::Ptr>();
      info.ports.push_back({portNumber(std::string_view(key).substr(0, slash)), text(binding, "HostIp"),
                            portNumber(json::getString(binding, "HostPort"))});
    }
  }
}

void readNetworks(const json::Object &object, ContainerInfo &info) {
  const json::Object::Ptr settings = json::findObject(object, "NetworkSettings");
  if (!settings) return;
  readPorts(*settings, info);
  const json::Object::Ptr networks = json::findObject(*settings, "Networks");
  if (!networks) return;
  for (const auto &[name, value] : *networks) {
    const json::Object::Ptr entry = json::findObject(*networks, name);
    if (entry)
      info.networks.push_back({name, text(*entry, "NetworkID"), text(*entry, "IPAddress")});
    else
      info.networks.push_back({name, "", ""});
  }
}

void readState(const json::Object &object, ContainerInfo &info) {
  const json::Object::Ptr state = json::findObject(object, "State");
  if (!state) throw Error(Status::InvalidArgument, "\"State\" is missing");
  info.state = contractState(json::getString(*state, "Status"));
  info.exitCode = static_cast<int>(json::getInt(*state, "ExitCode", 0));
  info.oomKilled = json::getBool(*state, "OOMKilled", false);
  info.error = tidy(text(*state, "Error"), kMaxWords);
  info.startedAt = text(*state, "StartedAt");
  info.startedMs = info.startedAt.empty() ? 0 : engineTime(info.startedAt);
  const json::Object::Ptr health = json::findObject(*state, "Health");
  const std::string status = health ? text(*health, "Status") : "";
  info.health = status == "starting" || status == "healthy" || status == "unhealthy" ? status : "none";
}

} // namespace

EngineVersion readVersion(std::string_view body) {
  const json::Object::Ptr object = json::parseObject(body);
  EngineVersion version;
  version.engine = "docker";
  version.version = tidy(json::getString(*object, "Version"), 60);
  version.api = json::getString(*object, "ApiVersion");
  const json::Array::Ptr components = json::findArray(*object, "Components");
  if (!components) return version;
  for (const json::Value &item : *components) {
    if (item.type() != typeid(json::Object::Ptr)) continue;
    if (text(*item.extract<json::Object::Ptr>(), "Name") == "Podman Engine") version.engine = "podman";
  }
  return version;
}

ImageInfo readImage(std::string_view body) {
  const json::Object::Ptr object = json::parseObject(body);
  ImageInfo info;
  info.id = imageId(json::getString(*object, "Id"));
  if (info.id.empty()) throw Error(Status::InvalidArgument, "\"Id\" is empty");
  const json::Array::Ptr digests = json::findArray(*object, "RepoDigests");
  if (!digests) return info;
  for (const json::Value &item : *digests) {
    if (item.isString()) info.repoDigests.push_back(item.convert<std::string>());
  }
  return info;
}

NetworkInfo readNetwork(const json::Object &object) {
  NetworkInfo info;
  info.id = json::getString(object, "Id");
  info.name = json::getString(object, "Name");
  info.created = text(object, "Created");
  if (!isEngineName(info.id)) throw Error(Status::InvalidArgument, "\"Id\" is no network's id");
  const json::Object::Ptr ipam = json::findObject(object, "IPAM");
  const json::Array::Ptr subnets = ipam ? json::findArray(*ipam, "Config") : nullptr;
  if (!subnets) return info;
  for (const json::Value &item : *subnets) {
    if (item.type() != typeid(json::Object::Ptr)) continue;
    const std::string gateway = text(*item.extract<json::Object::Ptr>(), "Gateway");
    if (info.gateway.empty() && gateway.find(':') == std::string::npos) {
      info.gateway = gateway.substr(0, gateway.find('/'));
    }
  }
  return info;
}

ContainerInfo readContainer(std::string_view body) {
  const json::Object::Ptr object = json::parseObject(body);
  ContainerInfo info;
  info.id = json::getString(*object, "Id");
  if (!isEngineName(info.id)) throw Error(Status::InvalidArgument, "\"Id\" is no container's id");
  info.name = json::getString(*object, "Name");
  if (!info.name.empty() && info.name.front() == '/') info.name.erase(0, 1);
  info.imageId = imageId(text(*object, "Image"));
  const std::string created = text(*object, "Created");
  info.createdMs = created.empty() ? 0 : engineTime(created);
  info.restarts = json::getInt(*object, "RestartCount", 0);
  readState(*object, info);
  if (const json::Object::Ptr config = json::findObject(*object, "Config")) {
    info.image = text(*config, "Image");
    if (const json::Object::Ptr labels = json::findObject(*config, "Labels")) {
      for (const auto &[key, value] : *labels)
        info.labels[key] = json::getString(*labels, key);
    }
  }
  if (const json::Object::Ptr host = json::findObject(*object, "HostConfig")) {
    info.networkMode = text(*host, "NetworkMode");
  }
  readNetworks(*object, info);
  return info;
}

ContainerStats readStats(std::string_view body) {
  const json::Object::Ptr object = json::parseObject(body);
  ContainerStats stats;
  if (const auto cpu = json::findObject(*object, "cpu_stats")) {
    if (const auto usage = json::findObject(*cpu, "cpu_usage")) stats.cpuNanos = readCount(*usage, "total_usage");
  }
  if (const auto memory = json::findObject(*object, "memory_stats")) {
    stats.memoryBytes = readCount(*memory, "usage");
    stats.memoryLimitBytes = readCount(*memory, "limit");
    // Page cache that can be dropped at once is no use, as `docker stats` counts it: cgroup v1, then v2.
    if (const auto detail = json::findObject(*memory, "stats")) {
      const std::uint64_t v1 = readCount(*detail, "total_inactive_file");
      const std::uint64_t cache = v1 != 0 ? v1 : readCount(*detail, "inactive_file");
      stats.memoryBytes -= std::min(cache, stats.memoryBytes);
    }
  }
  if (const auto pids = json::findObject(*object, "pids_stats")) stats.pids = readCount(*pids, "current");
  if (const auto networks = json::findObject(*object, "networks")) {
    for (const auto &[name, value] : *networks) {
      const json::Object::Ptr network = json::findObject(*networks, name);
      if (!network) continue;
      stats.networkRxBytes += readCount(*network, "rx_bytes");
      stats.networkTxBytes += readCount(*network, "tx_bytes");
    }
  }
  return stats;
}

PullStep readPullStep(std::string_view line, const ImageName &image) {
  const json::Object::Ptr object = json::parseObject(line);
  const std::string error = text(*object, "error");
  const json::Object::Ptr detail = json::findObject(*object, "errorDetail");
  if (!error.empty() || detail) {
    const std::string words = detail ? text(*detail, "message") : error;
    throw pullError(image, 200, tidy(words.empty() ? error : words, kMaxWords));
  }
  PullStep step;
  step.id = text(*object, "id").substr(0, 80);
  step.status = tidy(text(*object, "status"), 200);
  if (const auto progress = json::findObject(*object, "progressDetail")) {
    step.current = readCount(*progress, "current");
    step.total = readCount(*progress, "total");
  }
  return step;
}

std::vector<std::string> eventActions() {
  std::vector<std::string> actions;
  for (const auto &[action, type] : kEventTypes)
    actions.emplace_back(action);
  return actions;
}

bool readEvent(std::string_view line, ContainerEvent &event) {
  const json::Object::Ptr object = json::parseObject(line);
  const std::string about = text(*object, "Type");
  const bool network = about == "network";
  if (!about.empty() && about != "container" && !network) return false;
  const std::string action = text(*object, "Action").empty() ? text(*object, "status") : text(*object, "Action");
  const auto found =
      std::find_if(kEventTypes.begin(), kEventTypes.end(), [&](const auto &entry) { return entry.first == action; });
  if (found == kEventTypes.end() || network != (found->second == kDisconnected)) return false;
  event = ContainerEvent{};
  event.type = found->second;
  const std::int64_t nanos = json::getInt(*object, "timeNano", 0);
  event.timeMs = nanos > 0 ? nanos / 1'000'000 : json::getInt(*object, "time", 0) * 1000;
  const json::Object::Ptr actor = json::findObject(*object, "Actor");
  event.id = actor ? text(*actor, "ID") : text(*object, "id");
  const json::Object::Ptr attributes = actor ? json::findObject(*actor, "Attributes") : nullptr;
  if (!attributes) return !network;
  if (network) { // the actor is the network, or with Podman the container
    const std::string container = text(*attributes, "container");
    if (!container.empty()) event.id = container;
    return true;
  }
  event.name = text(*attributes, "name");
  for (const auto &[key, value] : *attributes) {
    if (value.isString()) event.attributes.emplace(key, value.convert<std::string>());
  }
  // Docker and Podman disagree on the attribute's name.
  const std::string code =
      text(*attributes, "exitCode").empty() ? text(*attributes, "containerExitCode") : text(*attributes, "exitCode");
  std::from_chars(code.data(), code.data() + code.size(), event.exitCode);
  return true;
}

std::vector<json::Object::Ptr> readObjects(std::string_view body) {
  const json::Value root = json::parse(body);
  if (root.type() != typeid(json::Array::Ptr)) throw Error(Status::InvalidArgument, "it is no array");
  std::vector<json::Object::Ptr> objects;
  for (const json::Value &item : *root.extract<json::Array::Ptr>()) {
    if (item.type() != typeid(json::Object::Ptr)) throw Error(Status::InvalidArgument, "an element is no object");
    objects.push_back(item.extract<json::Object::Ptr>());
  }
  return objects;
}

std::vector<std::string> readIds(std::string_view body) {
  std::vector<std::string> ids;
  for (const json::Object::Ptr &object : readObjects(body)) {
    ids.push_back(json::getString(*object, "Id"));
    if (!isEngineName(ids.back())) throw Error(Status::InvalidArgument, "\"Id\" is no container's id");
  }
  return ids;
}

std::string readId(std::string_view body) {
  std::string id = json::getString(*json::parseObject(body), "Id");
  if (!isEngineName(id)) throw Error(Status::InvalidArgument, "\"Id\" is no id");
  return id;
}

std::string engineWords(std::string_view body) {
  try {
    const auto message = json::findString(*json::parseObject(body), "message");
    if (message) return tidy(*message, kMaxWords);
  } catch (const Error &) {
    // Not JSON: the text itself is the best there is.
  }
  const std::string raw = tidy(body, kMaxWords);
  return raw.empty() ? "no explanation" : raw;
}

std::vector<int> portsNamed(std::string_view words) {
  std::vector<int> ports;
  for (std::size_t at = words.find(':'); at != std::string_view::npos; at = words.find(':', at + 1)) {
    int port = 0;
    const char *const last = words.data() + words.size();
    const auto [end, failure] = std::from_chars(words.data() + at + 1, last, port);
    // Ids are full of digits: a port ends where its number does.
    const bool whole = failure == std::errc{} && (end == last || std::isalnum(static_cast<unsigned char>(*end)) == 0);
    if (whole && port >= 1 && port <= 65535) ports.push_back(port);
  }
  return ports;
}

Error pullError(const ImageName &image, int httpStatus, const std::string &words) {
  const auto says = [&](std::string_view part) { return words.find(part) != std::string::npos; };
  const bool absent = says("manifest unknown") || says("name unknown") || says("no such image") ||
                      says("No such image") || (says("manifest for") && says("not found"));
  const bool denied = says("denied") || says("unauthorized") || says("authentication required") ||
                      says("no basic auth credentials") || says("incorrect username or password");
  if (denied && !absent) {
    return Error(Status::PermissionDenied,
                 "the registry " + image.registry() + " does not give out " + image.full() +
                     ": check its name, and the login in [runtime-docker] auth_file (" + words + ")",
                 MOS_REASON_IMAGE_DENIED);
  }
  if (absent || httpStatus == 404) {
    return Error(Status::NotFound,
                 "there is no image " + image.full() +
                     ": docker pull or docker load it here, or set [orchestrator] image (" + words + ")",
                 MOS_REASON_IMAGE_NOT_FOUND);
  }
  return Error(Status::Unavailable, "the image " + image.full() + " cannot be pulled now: " + words, "PULL_FAILED",
               30'000);
}

} // namespace matrixos::docker
