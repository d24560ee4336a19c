#include "InstanceSpec.h"

#include "HostVolumes.h"
#include "ImageName.h"
#include "Text.h"

#include <matrixos/json.hpp>

#include <Poco/DigestEngine.h>
#include <Poco/SHA2Engine.h>
#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace matrixos::docker {

namespace {

constexpr std::size_t kMaxItems = 256;
constexpr std::size_t kMaxText = 32U * 1024;

Error badSpec(const std::string &text) {
  return Error(Status::InvalidArgument, "instance spec: " + text, "BAD_SPEC");
}

bool isClean(std::string_view text) {
  return text.size() <= kMaxText && std::none_of(text.begin(), text.end(), [](char c) {
           return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
         });
}

std::map<std::string, std::string> readTexts(const json::Object &object, const std::string &member) {
  std::map<std::string, std::string> texts;
  if (object.size() > kMaxItems) throw badSpec("\"" + member + "\" has more than 256 members");
  for (const auto &[key, value] : object) {
    if (!value.isString()) throw badSpec("\"" + member + "." + tidy(key, 60) + "\" has to be a string");
    texts[key] = value.convert<std::string>();
  }
  return texts;
}

Labels readLabels(const json::Object &object) {
  Labels labels = readTexts(object, "labels");
  for (const auto &[key, value] : labels) {
    if (key.empty() || !isClean(key) || key.find('=') != std::string::npos || !isClean(value)) {
      throw badSpec("the label \"" + tidy(key, 60) + "\" has a bad name or value");
    }
  }
  return labels;
}

std::map<std::string, std::string> readEnv(const json::Object &object) {
  auto env = readTexts(object, "env");
  for (const auto &[key, value] : env) {
    const bool bad = key.empty() || !isClean(key) || key.find('=') != std::string::npos ||
                     value.find('\0') != std::string::npos || value.size() > kMaxText;
    if (bad) throw badSpec("the environment variable \"" + tidy(key, 60) + "\" has a bad name or value");
  }
  return env;
}

/// Calls `item` with each element of an array, which has to be an object.
template <typename Item>
void eachObject(const json::Object &spec, const std::string &member, Item item) {
  const json::Array::Ptr array = json::findArray(spec, member);
  if (!array) return;
  if (array->size() > kMaxItems) throw badSpec("\"" + member + "\" has more than 256 items");
  for (const json::Value &value : *array) {
    if (value.type() != typeid(json::Object::Ptr)) throw badSpec("the items of \"" + member + "\" have to be objects");
    item(*value.extract<json::Object::Ptr>());
  }
}

std::vector<std::string> readList(const json::Object &spec, const std::string &member) {
  std::vector<std::string> list;
  const json::Array::Ptr array = json::findArray(spec, member);
  if (!array) return list;
  if (array->size() > kMaxItems) throw badSpec("\"" + member + "\" has more than 256 items");
  for (const json::Value &value : *array) {
    if (!value.isString()) throw badSpec("the items of \"" + member + "\" have to be strings");
    list.push_back(value.convert<std::string>());
    if (list.back().find('\0') != std::string::npos) throw badSpec("\"" + member + "\" holds a NUL character");
  }
  return list;
}

NetworkSpec readNetwork(const json::Object &object) {
  NetworkSpec network;
  network.name = json::getString(object, "name");
  network.driver = json::findString(object, "driver").value_or("bridge");
  // These share a namespace with the machine or with another container, or have no address at all.
  const bool special = network.name == "host" || network.name == "none" || network.name == "default";
  if (!isEngineName(network.name) || special) throw badSpec("\"" + tidy(network.name, 60) + "\" is no network's name");
  if (!isEngineName(network.driver) || network.driver == "host" || network.driver == "null") {
    throw badSpec("\"" + tidy(network.driver, 60) + "\" is no network driver for instances");
  }
  return network;
}

std::uint16_t readPort(const json::Object &object, const std::string &member) {
  const std::int64_t port = json::getInt(object, member, 0);
  if (port < 0 || port > 65535) throw badSpec("\"" + member + "\" has to be a port, 1 to 65535");
  return static_cast<std::uint16_t>(port);
}

PortSpec readPortSpec(const json::Object &object) {
  PortSpec port;
  port.name = json::getString(object, "name");
  if (!isEngineName(port.name)) throw badSpec("\"" + tidy(port.name, 60) + "\" is no port's name");
  port.containerPort = readPort(object, "containerPort");
  port.hostPort = readPort(object, "hostPort");
  if (port.containerPort == 0) throw badSpec("the port \"" + port.name + "\" has no containerPort");
  port.hostAddress = json::findString(object, "hostAddress").value_or("127.0.0.1");
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  if (::inet_pton(AF_INET, port.hostAddress.c_str(), bytes.data()) != 1 &&
      ::inet_pton(AF_INET6, port.hostAddress.c_str(), bytes.data()) != 1) {
    throw badSpec("\"" + tidy(port.hostAddress, 60) + "\" is no IP address");
  }
  return port;
}

VolumeMount readVolume(const json::Object &object) {
  VolumeMount volume;
  volume.hostPath = json::getString(object, "volume");
  volume.path = json::getString(object, "path");
  volume.readOnly = json::getBool(object, "readOnly", false);
  if (!isPlainPath(volume.path) || volume.path == "/") {
    throw badSpec("\"" + tidy(volume.path, 120) + "\" is no path to mount a volume at");
  }
  return volume;
}

void readLimits(const json::Object &object, InstanceSpec &spec) {
  spec.memoryBytes = json::getInt(object, "memoryBytes", 0);
  if (spec.memoryBytes != 0 && spec.memoryBytes < 6 * 1024 * 1024) throw badSpec("memoryBytes is below 6 MB");
  spec.cpus = json::getNumber(object, "cpus", 0);
  if (!(spec.cpus >= 0 && spec.cpus <= 4096)) throw badSpec("cpus has to be between 0 and 4096");
  spec.pidsLimit = json::getInt(object, "pidsLimit", -1);
  if (spec.pidsLimit < -1) throw badSpec("pidsLimit is negative");
  spec.restart = json::findString(object, "restart").value_or("no");
  static constexpr std::array kPolicies{"no", "always", "unless-stopped", "on-failure"};
  if (std::find(kPolicies.begin(), kPolicies.end(), spec.restart) == kPolicies.end()) {
    throw badSpec("restart has to be no, always, unless-stopped or on-failure");
  }
}

json::Array::Ptr toArray(const std::vector<std::string> &texts) {
  json::Array::Ptr array = new json::Array;
  for (const std::string &text : texts)
    array->add(text);
  return array;
}

json::Object::Ptr toObject(const std::map<std::string, std::string> &texts) {
  json::Object::Ptr object = new json::Object;
  for (const auto &[key, value] : texts)
    object->set(key, value);
  return object;
}

json::Object::Ptr restartPolicy(const std::string &restart) {
  json::Object::Ptr policy = new json::Object;
  policy->set("Name", restart);
  policy->set("MaximumRetryCount", 0);
  return policy;
}

void setPorts(const InstanceSpec &spec, json::Object &body, json::Object &host) {
  json::Object::Ptr exposed = new json::Object;
  json::Object::Ptr bindings = new json::Object;
  for (const PortSpec &port : spec.ports) {
    const std::string key = std::to_string(port.containerPort) + "/tcp";
    exposed->set(key, json::Object::Ptr(new json::Object));
    if (port.hostPort == 0) continue;
    json::Object::Ptr binding = new json::Object;
    binding->set("HostIp", port.hostAddress);
    binding->set("HostPort", std::to_string(port.hostPort));
    json::Array::Ptr list = bindings->has(key) ? bindings->getArray(key) : json::Array::Ptr(new json::Array);
    list->add(binding);
    bindings->set(key, list);
  }
  body.set("ExposedPorts", exposed);
  host.set("PortBindings", bindings);
}

/// Limits and isolation: security.md's rows on privilege, fork bombs and logs.
void setSecurity(const InstanceSpec &spec, const Settings &settings, json::Object &host) {
  if (spec.memoryBytes > 0) {
    host.set("Memory", spec.memoryBytes);
    // Equal to Memory means no swap on top of it.
    host.set("MemorySwap", spec.memoryBytes);
  }
  if (spec.cpus > 0) host.set("NanoCpus", static_cast<Poco::Int64>(std::llround(spec.cpus * 1e9)));
  const std::int64_t pids = spec.pidsLimit >= 0 ? spec.pidsLimit : settings.pidsLimit;
  if (pids > 0) host.set("PidsLimit", pids);
  if (!settings.capDrop.empty()) host.set("CapDrop", toArray(settings.capDrop));
  if (!settings.capAdd.empty()) host.set("CapAdd", toArray(settings.capAdd));
  if (settings.noNewPrivileges) host.set("SecurityOpt", toArray({"no-new-privileges"}));
  if (settings.readOnlyRoot) host.set("ReadonlyRootfs", true);
  if (settings.logMaxBytes > 0) {
    json::Object::Ptr options = new json::Object;
    options->set("max-size", std::to_string(std::max<std::int64_t>(1, settings.logMaxBytes / 1024)) + "k");
    options->set("max-file", std::to_string(settings.logMaxFiles));
    json::Object::Ptr log = new json::Object;
    log->set("Type", "json-file");
    log->set("Config", options);
    host.set("LogConfig", log);
  }
}

} // namespace

Labels parseLabels(std::string_view json) {
  return readLabels(*json::parseObject(json));
}

InstanceSpec InstanceSpec::parse(std::string_view text) {
  const json::Object::Ptr object = json::parseObject(text);
  InstanceSpec spec;
  spec.name = json::getString(*object, "name");
  if (!isEngineName(spec.name)) throw badSpec("\"" + tidy(spec.name, 60) + "\" is no container's name");
  spec.image = ImageName::parse(json::getString(*object, "image")).full();
  if (const auto labels = json::findObject(*object, "labels")) spec.labels = readLabels(*labels);
  if (const auto env = json::findObject(*object, "env")) spec.env = readEnv(*env);
  spec.command = readList(*object, "command");
  readLimits(*object, spec);
  eachObject(*object, "networks", [&](const json::Object &item) { spec.networks.push_back(readNetwork(item)); });
  spec.hostAliases = readList(*object, "hostAliases");
  for (const std::string &alias : spec.hostAliases) {
    if (!isEngineName(alias)) throw badSpec("\"" + tidy(alias, 60) + "\" is no host name");
  }
  eachObject(*object, "volumes", [&](const json::Object &item) { spec.volumes.push_back(readVolume(item)); });
  eachObject(*object, "ports", [&](const json::Object &item) { spec.ports.push_back(readPortSpec(item)); });
  return spec;
}

std::string createBody(const InstanceSpec &spec, const Settings &settings, const std::string &aliasAddress) {
  json::Object body;
  json::Object::Ptr host = new json::Object;
  body.set("Image", spec.image);
  body.set("Labels", toObject(spec.labels));
  json::Array::Ptr env = new json::Array;
  for (const auto &[key, value] : spec.env)
    env->add(key + "=" + value);
  body.set("Env", env);
  if (!spec.command.empty()) body.set("Cmd", toArray(spec.command));

  host->set("RestartPolicy", restartPolicy(spec.restart));
  if (!spec.networks.empty()) host->set("NetworkMode", spec.networks.front().name);
  json::Array::Ptr hosts = new json::Array;
  for (const std::string &alias : spec.hostAliases)
    hosts->add(alias + ":" + aliasAddress);
  if (hosts->size() != 0) host->set("ExtraHosts", hosts);
  json::Array::Ptr binds = new json::Array;
  for (const VolumeMount &volume : spec.volumes) {
    // Safe to join: neither path holds a colon.
    binds->add(volume.hostPath + ":" + volume.path + (volume.readOnly ? ":ro" : ""));
  }
  host->set("Binds", binds);
  setPorts(spec, body, *host);
  setSecurity(spec, settings, *host);
  body.set("HostConfig", host);
  return json::dump(body);
}

std::string specHash(InstanceSpec spec, const Settings &settings) {
  spec.labels.clear();
  Poco::SHA2Engine engine(Poco::SHA2Engine::SHA_256);
  engine.update(createBody(spec, settings, ""));
  return Poco::DigestEngine::digestToHex(engine.digest());
}

} // namespace matrixos::docker
