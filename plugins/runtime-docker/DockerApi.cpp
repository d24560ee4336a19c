#include "DockerApi.h"

#include "EngineReplies.h"
#include "Text.h"

#include <matrixos/abi/runtime.h>

#include <http/client/PercentEncoding.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace matrixos::docker {

namespace {

using http::percentEncode;

constexpr int kApiMajor = 1;
constexpr int kApiMinor = 41;
constexpr int kOldestMinor = 40;

/// Minor of "1.41"; throws when it is no version of API 1.
int apiMinor(const std::string &version) {
  int minor = -1;
  const std::string start = std::to_string(kApiMajor) + ".";
  if (version.compare(0, start.size(), start) == 0) {
    std::from_chars(version.data() + start.size(), version.data() + version.size(), minor);
  }
  if (minor < 0) throw Error(Status::InvalidArgument, "\"" + tidy(version, 20) + "\" is no version of the Docker API");
  return minor;
}

/// A container's or network's name or id as part of a path.
std::string part(const std::string &name) {
  if (!isEngineName(name)) {
    throw Error(Status::InvalidArgument, "\"" + tidy(name, 80) + "\" is no name or id of a container or network",
                "BAD_REF");
  }
  return "/" + name;
}

Status statusOf(int http) {
  switch (http) {
  case 400:
    return Status::InvalidArgument;
  case 401:
  case 403:
    return Status::PermissionDenied;
  case 404:
    return Status::NotFound;
  case 409:
    return Status::Aborted;
  default:
    return Status::Unavailable;
  }
}

/// Podman 4.3 says 500 when a container goes while it is being looked at.
bool vanished(const EngineRefusal &refusal) {
  return refusal.httpStatus() == 500 && refusal.says("no such container");
}

[[noreturn]] void refuse(const EngineRequest &what, const http::ClientResponse &answer) {
  if (answer.status < 400) {
    throw Error(Status::Unavailable,
                "the engine answers " + what.title() + " with the unexpected status " + std::to_string(answer.status),
                MOS_REASON_ENGINE_REPLY);
  }
  const std::string words = engineWords(answer.body);
  throw EngineRefusal(statusOf(answer.status),
                      "the engine refuses " + what.title() + " (" + std::to_string(answer.status) + "): " + words,
                      answer.status, words);
}

std::string labelFilters(const std::map<std::string, std::string> &labels) {
  json::Object filters;
  if (!labels.empty()) {
    json::Array::Ptr list = new json::Array;
    for (const auto &[key, value] : labels)
      list->add(key + "=" + value);
    filters.set("label", list);
  }
  return percentEncode(json::dump(filters));
}

std::string oneFilter(const char *name, const std::string &value) {
  json::Array::Ptr list = new json::Array;
  list->add(value);
  json::Object filters;
  filters.set(name, list);
  return percentEncode(json::dump(filters));
}

} // namespace

// ---- transport

EngineVersion DockerApi::version(const Call &call) {
  forgetVersion();
  return negotiate(call);
}

EngineVersion DockerApi::negotiate(const Call &call) {
  EngineRequest what;
  what.method = "GET";
  what.target = "/version";
  what.timeout = settings_.timeout;
  what.maxBody = 1U << 20U;
  const http::ClientResponse answer = send(call, what);
  int theirs = 0;
  int oldest = 0;
  EngineVersion version = readReply(what.title(), [&] {
    EngineVersion read = readVersion(answer.body);
    theirs = apiMinor(read.api);
    const auto min = json::findString(*json::parseObject(answer.body), "MinAPIVersion");
    oldest = min && !min->empty() ? apiMinor(*min) : 0;
    return read;
  });
  if (theirs < kOldestMinor) {
    throw Error(Status::FailedPrecondition,
                "the engine " + version.version + " speaks API 1." + std::to_string(theirs) +
                    "; Docker 19.03 (API 1.40) or later is needed",
                "ENGINE_TOO_OLD");
  }
  // What is used of the API has not changed since 1.41, so a later minimum is spoken as it is.
  version.api = "1." + std::to_string(std::max(std::min(kApiMinor, theirs), oldest));
  const std::lock_guard lock(mutex_);
  prefix_ = "/v" + version.api;
  podman_ = version.engine == "podman";
  return version;
}

bool DockerApi::isPodman(const Call &call) {
  prefix(call);
  const std::lock_guard lock(mutex_);
  return podman_;
}

std::string DockerApi::prefix(const Call &call) {
  {
    const std::lock_guard lock(mutex_);
    if (!prefix_.empty()) return prefix_;
  }
  return "/v" + negotiate(call).api;
}

void DockerApi::forgetVersion() noexcept {
  const std::lock_guard lock(mutex_);
  prefix_.clear();
}

EngineRequest DockerApi::request(const Call &call, std::string method, const std::string &path, std::string body) {
  EngineRequest what;
  what.method = std::move(method);
  what.target = prefix(call) + path;
  what.body = std::move(body);
  what.timeout = settings_.timeout;
  what.maxBody = settings_.maxReply;
  return what;
}

http::ClientResponse DockerApi::send(const Call &call, const EngineRequest &what, std::initializer_list<int> alsoFine) {
  http::ClientResponse answer;
  try {
    answer = http_.send(call, what);
  } catch (const Error &e) {
    // Whoever answers next may be another engine.
    if (e.reason() == MOS_REASON_ENGINE_UNREACHABLE) forgetVersion();
    throw;
  }
  const bool fine = answer.isSuccess() || std::find(alsoFine.begin(), alsoFine.end(), answer.status) != alsoFine.end();
  if (!fine) refuse(what, answer);
  return answer;
}

// ---- images

std::optional<ImageInfo> DockerApi::inspectImage(const Call &call, const std::string &name) {
  const EngineRequest what = request(call, "GET", "/images/" + percentEncode(name) + "/json");
  const http::ClientResponse answer = send(call, what, {404});
  if (answer.status == 404) return std::nullopt;
  return readReply(what.title(), [&] { return readImage(answer.body); });
}

bool DockerApi::pullImage(const Call &call, const ImageName &image, const std::string &registryAuth,
                          const std::function<bool(const PullStep &)> &step) {
  EngineRequest what = request(call, "POST",
                               "/images/create?fromImage=" + percentEncode(image.repository) +
                                   "&tag=" + percentEncode(image.reference()));
  if (!registryAuth.empty()) what.fields.push_back({"X-Registry-Auth", registryAuth});
  what.timeout = std::chrono::milliseconds{0};
  what.maxSilence = settings_.pullSilence;
  const http::ClientResponse answer = http_.streamLines(call, what, [&](std::string_view line) {
    return step(readReply(what.title(), [&] { return readPullStep(line, image); }));
  });
  if (answer.status >= 400) throw pullError(image, answer.status, engineWords(answer.body));
  if (answer.status >= 300) refuse(what, answer);
  return !answer.stopped;
}

// ---- networks

std::optional<NetworkInfo> DockerApi::inspectNetwork(const Call &call, const std::string &name) {
  const EngineRequest what = request(call, "GET", "/networks" + part(name));
  const http::ClientResponse answer = send(call, what, {404});
  if (answer.status == 404) return std::nullopt;
  return readReply(what.title(), [&] { return readNetwork(*json::parseObject(answer.body)); });
}

std::vector<NetworkInfo> DockerApi::listNetworksBy(const Call &call, const std::string &filters) {
  const EngineRequest what = request(call, "GET", "/networks?filters=" + filters);
  const http::ClientResponse answer = send(call, what);
  return readReply(what.title(), [&] {
    std::vector<NetworkInfo> networks;
    for (const json::Object::Ptr &object : readObjects(answer.body))
      networks.push_back(readNetwork(*object));
    std::sort(networks.begin(), networks.end(), [](const NetworkInfo &a, const NetworkInfo &b) {
      return std::tie(a.created, a.id) < std::tie(b.created, b.id);
    });
    return networks;
  });
}

std::vector<NetworkInfo> DockerApi::listNetworks(const Call &call, const std::map<std::string, std::string> &labels) {
  return listNetworksBy(call, labelFilters(labels));
}

std::vector<NetworkInfo> DockerApi::listNetworksNamed(const Call &call, const std::string &name) {
  std::vector<NetworkInfo> networks = listNetworksBy(call, oneFilter("name", name));
  // The engine's filter matches parts of names.
  networks.erase(std::remove_if(networks.begin(), networks.end(), [&](const auto &n) { return n.name != name; }),
                 networks.end());
  return networks;
}

std::string DockerApi::createNetwork(const Call &call, const std::string &name, const std::string &driver,
                                     const std::map<std::string, std::string> &labels) {
  json::Object::Ptr body = json::object({{"Name", name}, {"Driver", driver}, {"CheckDuplicate", true}});
  json::Object::Ptr list = new json::Object;
  for (const auto &[key, value] : labels)
    list->set(key, value);
  body->set("Labels", list);
  const EngineRequest what = request(call, "POST", "/networks/create", json::dump(body));
  const http::ClientResponse answer = send(call, what);
  return readReply(what.title(), [&] { return readId(answer.body); });
}

void DockerApi::removeNetwork(const Call &call, const std::string &id) {
  send(call, request(call, "DELETE", "/networks" + part(id)), {404});
}

void DockerApi::connectNetwork(const Call &call, const std::string &network, const std::string &container) {
  json::Object::Ptr body = json::object({{"Container", container}});
  send(call, request(call, "POST", "/networks" + part(network) + "/connect", json::dump(body)));
}

void DockerApi::disconnectNetwork(const Call &call, const std::string &network, const std::string &container) {
  json::Object::Ptr body = json::object({{"Container", container}, {"Force", true}});
  send(call, request(call, "POST", "/networks" + part(network) + "/disconnect", json::dump(body)));
}

// ---- containers

std::string DockerApi::createContainer(const Call &call, const std::string &name, const std::string &body) {
  part(name);
  const EngineRequest what = request(call, "POST", "/containers/create?name=" + name, body);
  const http::ClientResponse answer = send(call, what);
  return readReply(what.title(), [&] { return readId(answer.body); });
}

void DockerApi::startContainer(const Call &call, const std::string &container) {
  send(call, request(call, "POST", "/containers" + part(container) + "/start"), {304});
}

void DockerApi::stopContainer(const Call &call, const std::string &container, std::chrono::milliseconds grace) {
  // The engine counts whole seconds.
  const auto seconds = (std::max<std::int64_t>(grace.count(), 0) + 999) / 1000;
  EngineRequest what = request(call, "POST", "/containers" + part(container) + "/stop?t=" + std::to_string(seconds));
  what.timeout += std::chrono::seconds(seconds);
  send(call, what, {304, 404});
}

void DockerApi::removeContainer(const Call &call, const std::string &container, bool force) {
  const std::string query = force ? "?v=0&force=1" : "?v=0&force=0";
  try {
    send(call, request(call, "DELETE", "/containers" + part(container) + query), {404});
  } catch (const EngineRefusal &e) {
    if (!vanished(e)) throw;
  }
}

void DockerApi::pauseContainer(const Call &call, const std::string &container) {
  send(call, request(call, "POST", "/containers" + part(container) + "/pause"));
}

void DockerApi::unpauseContainer(const Call &call, const std::string &container) {
  send(call, request(call, "POST", "/containers" + part(container) + "/unpause"));
}

std::optional<ContainerInfo> DockerApi::inspectContainer(const Call &call, const std::string &container) {
  const EngineRequest what = request(call, "GET", "/containers" + part(container) + "/json");
  try {
    const http::ClientResponse answer = send(call, what, {404});
    if (answer.status == 404) return std::nullopt;
    return readReply(what.title(), [&] { return readContainer(answer.body); });
  } catch (const EngineRefusal &e) {
    if (vanished(e)) return std::nullopt;
    throw;
  }
}

std::vector<std::string> DockerApi::listContainersBy(const Call &call, const std::string &filters) {
  const EngineRequest what = request(call, "GET", "/containers/json?all=1&filters=" + filters);
  constexpr int kTries = 20;
  for (int attempt = 1;; ++attempt) {
    try {
      const http::ClientResponse answer = send(call, what);
      return readReply(what.title(), [&] { return readIds(answer.body); });
    } catch (const EngineRefusal &e) {
      if (!vanished(e) || attempt == kTries) throw;
    }
  }
}

std::vector<std::string> DockerApi::listContainers(const Call &call, const std::map<std::string, std::string> &labels) {
  return listContainersBy(call, labelFilters(labels));
}

bool DockerApi::networkHasContainers(const Call &call, const std::string &network) {
  return !listContainersBy(call, oneFilter("network", network)).empty();
}

void DockerApi::containerLogs(const Call &call, const std::string &container, std::int64_t tail, bool follow,
                              const LogDemuxer::LineFn &line) {
  EngineRequest what =
      request(call, "GET",
              "/containers" + part(container) + "/logs?stdout=1&stderr=1&timestamps=1&follow=" + (follow ? "1" : "0") +
                  "&tail=" + (tail < 0 ? "all" : std::to_string(tail)));
  // A followed container may be silent for days.
  what.timeout = std::chrono::milliseconds{0};
  if (!follow) what.maxSilence = settings_.timeout;
  LogDemuxer demuxer(line);
  const http::ClientResponse answer = readReply(what.title(), [&] {
    http::ClientResponse got = http_.stream(call, what, [&](std::string_view bytes) { return demuxer.feed(bytes); });
    if (got.status == 200 && !got.stopped) demuxer.finish();
    return got;
  });
  if (answer.status != 200) refuse(what, answer);
}

ContainerStats DockerApi::containerStats(const Call &call, const std::string &container) {
  const EngineRequest what =
      request(call, "GET", "/containers" + part(container) + "/stats?stream=false&one-shot=true");
  const http::ClientResponse answer = send(call, what);
  return readReply(what.title(), [&] { return readStats(answer.body); });
}

bool DockerApi::containerEvents(const Call &call, std::int64_t sinceSeconds,
                                const std::function<bool(const ContainerEvent &)> &event) {
  // Not by label: what happens to networks has no labels of containers, and Podman 4.3 takes any of several.
  json::Array::Ptr types = new json::Array, actions = new json::Array;
  for (const char *type : {"container", "network"})
    types->add(std::string(type));
  for (const std::string &action : eventActions())
    actions->add(action);
  const std::string filters = json::dump(json::object({{"type", types}, {"event", actions}}));
  EngineRequest what =
      request(call, "GET", "/events?since=" + std::to_string(sinceSeconds) + "&filters=" + percentEncode(filters));
  what.timeout = std::chrono::milliseconds{0};
  const http::ClientResponse answer = http_.streamLines(call, what, [&](std::string_view line) {
    ContainerEvent item;
    const bool known = readReply(what.title(), [&] { return readEvent(line, item); });
    return !known || event(item);
  });
  if (answer.status != 200) refuse(what, answer);
  return !answer.stopped;
}

} // namespace matrixos::docker
