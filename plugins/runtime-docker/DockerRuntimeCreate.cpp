/// DockerRuntime, continued: creating containers and caring for their networks.
#include "DockerRuntime.h"
#include "Text.h"

#include <matrixos/json.hpp>
#include <matrixos/ulid.hpp>

#include <arpa/inet.h>
#include <ifaddrs.h>

#include <algorithm>
#include <array>
#include <memory>
#include <thread>

namespace matrixos::docker {

namespace {

/// What cleaning up after a failure may take, whatever is left of the call's own time.
constexpr std::chrono::seconds kUndoTime{10};
/// How long a name may be taken without anybody to be seen who has it, and how often that is looked at.
constexpr std::chrono::seconds kNameWait{5};
constexpr std::chrono::milliseconds kNamePoll{20};

std::vector<std::string> namesOf(const std::vector<InstanceSpec::Network> &networks) {
  std::vector<std::string> names;
  for (const InstanceSpec::Network &network : networks)
    names.push_back(network.name);
  return names;
}

std::string labelOf(const std::map<std::string, std::string> &labels, const char *key) {
  const auto found = labels.find(key);
  return found == labels.end() ? std::string() : found->second;
}

/// The engine took part of the action or its answer was lost: what it did is unknown.
bool isUncertain(const Error &error) {
  return dynamic_cast<const EngineRefusal *>(&error) == nullptr;
}

bool isNameConflict(const EngineRefusal &refusal) {
  // Podman 4.3 says 500 where Docker says 409.
  return refusal.says("already in use") && (refusal.httpStatus() == 409 || refusal.httpStatus() == 500);
}

Error nameBusy(const InstanceSpec &spec, const EngineRefusal &conflict) {
  return Error(Status::Aborted, spec.name + " is just being made or removed: " + conflict.words(),
               MOS_REASON_NAME_IN_USE, 500);
}

bool isUserNetwork(const std::string &name) {
  return isEngineName(name) && name != "default" && name != "bridge" && name != "host" && name != "none";
}

/// The IPv4 address of one of this machine's interfaces; empty when it has none.
std::string addressOf(std::string_view interface) {
  ifaddrs *all = nullptr;
  if (::getifaddrs(&all) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> kept(all, ::freeifaddrs);
  for (const ifaddrs *one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET || one->ifa_name != interface) continue;
    std::array<char, INET_ADDRSTRLEN> text{};
    const auto *address = reinterpret_cast<const sockaddr_in *>(one->ifa_addr);
    if (::inet_ntop(AF_INET, &address->sin_addr, text.data(), text.size()) != nullptr) return text.data();
  }
  return {};
}

} // namespace

std::string DockerRuntime::create(const Call &call, std::string_view specJson) {
  InstanceSpec spec = readSpec(specJson);
  for (const InstanceSpec::Volume &volume : spec.volumes)
    volumes_.check(volume.volume);
  addLabels(call, spec);
  std::vector<InstanceSpec::Network> made;
  NetworkLocks::Use use = locks_.use(call, namesOf(spec.networks));
  try {
    for (const InstanceSpec::Network &network : spec.networks) {
      if (ensureNetwork(call, network)) made.push_back(network);
    }
    const std::string body = createBody(spec, settings_, aliasAddress(call, spec));
    return json::dump(json::object({{"ref", createOrAdopt(call, spec, body)}}));
  } catch (const Error &) {
    use.end();
    const CallScope scope(kUndoTime);
    const Call undo(scope.abi());
    for (const InstanceSpec::Network &network : made) {
      guarded(nullptr, [&] {
        if (const auto info = api_.inspectNetwork(undo, network.name)) removeIfUnused(undo, *info);
      });
    }
    throw;
  }
}

void DockerRuntime::addLabels(const Call &call, InstanceSpec &spec) const {
  // emplace: what the caller gives has precedence.
  spec.labels.emplace(label::kSpecHash, specHash(spec, settings_));
  if (!settings_.installId.empty()) spec.labels.emplace(label::kInstallId, settings_.installId);
  if (!call.operationId().empty()) spec.labels.emplace(label::kOperationId, tidy(call.operationId(), 128));
  for (const InstanceSpec::Port &port : spec.ports) {
    spec.labels[label::kEndpointPrefix + port.name] = std::to_string(port.containerPort);
  }
  if (!spec.networks.empty()) spec.labels[label::kNetwork] = spec.networks.front().name;
  spec.labels[label::kAttempt] = makeUlid();
}

/// What hostAliases resolve to; empty while it is not known. Docker's "host-gateway" is the address of its own bridge
/// unless its configuration says otherwise (host-gateway-ip), which it does not tell.
std::string DockerRuntime::hostGateway(const Call &call) {
  if (!settings_.hostGateway.empty()) return settings_.hostGateway;
  try {
    if (!api_.isPodman(call)) {
      const auto bridge = api_.inspectNetwork(call, "bridge");
      if (!bridge) return {};
      return bridge->gateway.empty() ? addressOf("docker0") : bridge->gateway; // it does not always name it
    }
    if (settings_.installId.empty()) return {};
    for (const NetworkInfo &network : api_.listNetworks(call, {{label::kInstallId, settings_.installId}})) {
      if (!network.gateway.empty()) return network.gateway;
    }
  } catch (const EngineRefusal &) { // who it is it has said all the same
  } catch (const Error &e) {
    if (e.reason() != MOS_REASON_ENGINE_REPLY) throw;
  }
  return {};
}

/// Docker resolves "host-gateway" itself. Podman 4.3 writes the word into /etc/hosts, so there it is the gateway of
/// the instance's first network, which is the host as well.
std::string DockerRuntime::aliasAddress(const Call &call, const InstanceSpec &spec) {
  if (spec.hostAliases.empty()) return {};
  if (!settings_.hostGateway.empty()) return settings_.hostGateway;
  if (spec.networks.empty() || !api_.isPodman(call)) return "host-gateway";
  const auto network = api_.inspectNetwork(call, spec.networks.front().name);
  return network && !network->gateway.empty() ? network->gateway : "host-gateway";
}

std::string DockerRuntime::createOrAdopt(const Call &call, const InstanceSpec &spec, const std::string &body) {
  std::string id;
  try {
    const auto until = std::chrono::steady_clock::now() + kNameWait;
    while (id.empty()) {
      try {
        id = api_.createContainer(call, spec.name, body);
      } catch (const EngineRefusal &e) {
        if (!isNameConflict(e)) throw;
        if (const auto holder = api_.inspectContainer(call, spec.name)) return adopt(spec, *holder);
        // The engine reserves a name before it shows the container, and frees it after it hides it.
        if (std::chrono::steady_clock::now() >= until) throw nameBusy(spec, e);
        call.throwIfDone();
        std::this_thread::sleep_for(kNamePoll);
      }
    }
    // The API takes one network at creation; the others are joined before the first start.
    for (std::size_t i = 1; i < spec.networks.size(); ++i)
      api_.connectNetwork(call, spec.networks[i].name, id);
    return id;
  } catch (const EngineRefusal &e) {
    if (!id.empty()) undoCreate(spec, body);
    if (id.empty() && e.httpStatus() == 404 && !e.says("network")) {
      throw Error(Status::NotFound,
                  "the image " + spec.image + " is not on this machine: pull it first, or set [orchestrator] image (" +
                      e.words() + ")",
                  MOS_REASON_IMAGE_NOT_FOUND);
    }
    throw;
  } catch (const Error &e) {
    if (isUncertain(e)) undoCreate(spec, body);
    throw;
  }
}

std::string DockerRuntime::adopt(const InstanceSpec &spec, const ContainerInfo &holder) {
  const auto same = [&](const char *key) {
    const std::string theirs = labelOf(holder.labels, key);
    return !theirs.empty() && theirs == labelOf(spec.labels, key);
  };
  const bool ours = labelOf(holder.labels, label::kInstallId) == labelOf(spec.labels, label::kInstallId);
  if (ours && (same(label::kOperationId) || same(label::kSpecHash))) return holder.id;
  throw Error(Status::AlreadyExists,
              "the engine already has a container named " + spec.name + " (" + holder.id.substr(0, 12) + ", " +
                  holder.state + ")" + (ours ? " of another specification" : " of another owner") +
                  ": remove or rename it",
              MOS_REASON_NAME_IN_USE);
}

/// Removes the container when it is this attempt's; on time of its own, since the call's may be over. A request that
/// was given up may still be at work in the engine, and its container appear later: only who gets the name himself
/// knows that nothing of this attempt is to come.
void DockerRuntime::undoCreate(const InstanceSpec &spec, const std::string &body) noexcept {
  guarded(nullptr, [&] {
    const CallScope scope(kUndoTime);
    const Call undo(scope.abi());
    for (;;) {
      if (const auto info = api_.inspectContainer(undo, spec.name)) {
        if (labelOf(info->labels, label::kAttempt) == labelOf(spec.labels, label::kAttempt)) {
          api_.removeContainer(undo, info->id, true);
        }
        return;
      }
      try {
        api_.removeContainer(undo, api_.createContainer(undo, spec.name, body), true);
        return;
      } catch (const EngineRefusal &e) {
        if (!isNameConflict(e)) throw;
      }
      undo.throwIfDone();
      std::this_thread::sleep_for(kNamePoll);
    }
  });
}

/// A look-up by name fails for the instant in which two programs have both created the network.
bool DockerRuntime::hasNetwork(const Call &call, const std::string &name) {
  try {
    return api_.inspectNetwork(call, name).has_value();
  } catch (const EngineRefusal &e) {
    if (e.says("is ambiguous")) return true;
    throw;
  }
}

bool DockerRuntime::ensureNetwork(const Call &call, const InstanceSpec::Network &network) {
  if (network.name == "bridge") return false;
  const NetworkLocks::Creation turn = locks_.createTurn(call, network.name);
  if (hasNetwork(call, network.name)) return false;
  std::map<std::string, std::string> labels;
  if (!settings_.installId.empty()) labels.emplace(label::kInstallId, settings_.installId);
  std::string id;
  try {
    id = api_.createNetwork(call, network.name, network.driver, labels);
  } catch (const EngineRefusal &) {
    // Another program was quicker. Engines differ in the status (409, 500), so the network itself is asked for.
    if (hasNetwork(call, network.name)) return false;
    throw;
  }
  // Docker checks for duplicates without a lock: of two of one name the older stays, and both creators see it so.
  const std::vector<NetworkInfo> twins = api_.listNetworksNamed(call, network.name);
  if (twins.size() < 2 || twins.front().id == id) return true;
  api_.removeNetwork(call, id);
  return false;
}

void DockerRuntime::removeIfUnused(const Call &call, const NetworkInfo &network) {
  const NetworkLocks::Removal removal = locks_.removeTurn(call, network.name);
  if (!removal || api_.networkHasContainers(call, network.name)) return;
  try {
    api_.removeNetwork(call, network.id);
  } catch (const EngineRefusal &) {
    // Somebody outside attached to it meanwhile, so it is used.
  }
}

void DockerRuntime::removeUnusedNetworks(const Call &call) {
  if (settings_.installId.empty()) return;
  for (const NetworkInfo &network : api_.listNetworks(call, {{label::kInstallId, settings_.installId}})) {
    removeIfUnused(call, network);
  }
}

/// Somebody took the container off the network that it was made in: it is attached again, and the network made anew if
/// that is gone. True when there was something to do.
bool DockerRuntime::rejoinNetwork(const Call &call, const ContainerInfo &info) {
  const std::string labelled = labelOf(info.labels, label::kNetwork);
  const std::string &network = labelled.empty() ? info.networkMode : labelled;
  const bool attached = std::any_of(info.networks.begin(), info.networks.end(),
                                    [&](const Attachment &attachment) { return attachment.network == network; });
  if (attached || !isUserNetwork(network)) return false;
  const NetworkLocks::Use use = locks_.use(call, {network});
  ensureNetwork(call, {network});
  api_.connectNetwork(call, network, info.id);
  return true;
}

/// The networks were removed behind the container's back: makes them anew and attaches it to those of today.
void DockerRuntime::repairNetworks(const Call &call, const std::string &ref) {
  const ContainerInfo info = require(call, ref);
  std::vector<InstanceSpec::Network> networks;
  for (const Attachment &attachment : info.networks) {
    if (isUserNetwork(attachment.network)) networks.push_back({attachment.network});
  }
  const NetworkLocks::Use use = locks_.use(call, namesOf(networks));
  for (const InstanceSpec::Network &network : networks) {
    ensureNetwork(call, network);
    try {
      api_.disconnectNetwork(call, network.name, info.id);
    } catch (const EngineRefusal &) {
      // It was attached to the lost network of that name alone.
    }
    api_.connectNetwork(call, network.name, info.id);
  }
}

} // namespace matrixos::docker
