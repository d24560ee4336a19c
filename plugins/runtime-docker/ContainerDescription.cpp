#include "ContainerDescription.h"

#include "Settings.h"

#include <charconv>

namespace matrixos::docker {

namespace {

struct NamedPort {
  std::string name;
  std::uint16_t port = 0;
};

std::vector<NamedPort> namedPorts(const ContainerInfo &info) {
  const std::string prefix = label::kEndpointPrefix;
  std::vector<NamedPort> ports;
  for (const auto &[key, value] : info.labels) {
    if (key.compare(0, prefix.size(), prefix) != 0) continue;
    NamedPort port{key.substr(prefix.size()), 0};
    std::from_chars(value.data(), value.data() + value.size(), port.port);
    if (port.port != 0) ports.push_back(std::move(port));
  }
  return ports;
}

/// The address on the network the container was created in, else on any.
std::string bridgeAddress(const ContainerInfo &info) {
  std::string any;
  for (const Attachment &attachment : info.networks) {
    if (attachment.network == info.networkMode && !attachment.address.empty()) return attachment.address;
    if (any.empty()) any = attachment.address;
  }
  return any;
}

void add(json::Array &list, const ContainerInfo &info, const std::string &name, const std::string &address,
         std::uint16_t port, const char *scope) {
  json::Object::Ptr endpoint =
      json::object({{"name", name}, {"address", address}, {"port", static_cast<int>(port)}, {"scope", scope}});
  // An address is another one's as soon as this container starts anew or is gone.
  endpoint->set("epoch", info.id.substr(0, 12) + "@" + info.startedAt);
  list.add(endpoint);
}

} // namespace

json::Array::Ptr endpointsOf(const ContainerInfo &info) {
  json::Array::Ptr list = new json::Array;
  if (!info.isUp()) return list;
  const std::vector<NamedPort> ports = namedPorts(info);
  const std::string address = bridgeAddress(info);
  for (const NamedPort &port : ports) {
    if (!address.empty()) add(*list, info, port.name, address, port.port, "bridge");
  }
  for (const NamedPort &port : ports) {
    for (const PublishedPort &published : info.ports) {
      if (published.containerPort != port.port || published.hostPort == 0) continue;
      const bool any = published.hostAddress.empty() || published.hostAddress == "0.0.0.0";
      add(*list, info, port.name, any ? "127.0.0.1" : published.hostAddress, published.hostPort, "host");
    }
  }
  return list;
}

json::Object::Ptr describe(const ContainerInfo &info) {
  json::Object::Ptr labels = new json::Object;
  for (const auto &[key, value] : info.labels)
    labels->set(key, value);
  return json::object({{"ref", info.id},
                       {"name", info.name},
                       {"state", info.state},
                       {"image", info.image},
                       {"imageDigest", info.imageId},
                       {"labels", labels},
                       {"createdAt", info.createdMs},
                       {"startedAt", info.startedMs},
                       {"exitCode", info.exitCode},
                       {"oomKilled", info.oomKilled},
                       {"restarts", info.restarts},
                       {"error", info.error},
                       {"health", info.health},
                       {"endpoints", endpointsOf(info)}});
}

} // namespace matrixos::docker
