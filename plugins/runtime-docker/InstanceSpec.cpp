#include "InstanceSpec.h"

#include "ImageName.h"

#include <matrixos/json.hpp>

#include <Poco/DigestEngine.h>
#include <Poco/SHA2Engine.h>

#include <algorithm>
#include <cmath>

namespace matrixos::docker {

namespace {

using managed::badSpec;

void checkLabels(const Labels &labels) {
  for (const auto &[key, value] : labels) {
    // The engine filters by "name=value".
    if (key.find('=') != std::string::npos) throw badSpec("the label " + shown(key) + " has a \"=\" in its name");
  }
}

void checkNetwork(const InstanceSpec::Network &network) {
  // These share a namespace with the machine or with another container, or have no address at all.
  if (network.name == "host" || network.name == "none" || network.name == "default") {
    throw badSpec(shown(network.name) + " is no network of its own");
  }
  if (!isEngineName(network.driver) || network.driver == "host" || network.driver == "null") {
    throw badSpec(shown(network.driver) + " is no network driver for instances");
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
  for (const InstanceSpec::Port &port : spec.ports) {
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

/// Limits and isolation: against privilege, fork bombs and endless logs.
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
  Labels labels = managed::parseLabels(json);
  checkLabels(labels);
  return labels;
}

InstanceSpec readSpec(std::string_view json) {
  InstanceSpec spec = InstanceSpec::parse(json);
  spec.image = ImageName::parse(spec.image).full();
  checkLabels(spec.labels);
  if (spec.memoryBytes != 0 && spec.memoryBytes < 6 * 1024 * 1024) throw badSpec("memoryBytes is below 6 MB");
  for (const InstanceSpec::Network &network : spec.networks)
    checkNetwork(network);
  for (const std::string &alias : spec.hostAliases) {
    if (!isEngineName(alias)) throw badSpec(shown(alias) + " is no host name");
  }
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
  // Not "Binds", whose missing directories Docker makes: a home that is not mounted must not be an empty one.
  json::Array::Ptr mounts = new json::Array;
  for (const InstanceSpec::Volume &volume : spec.volumes) {
    mounts->add(json::object(
        {{"Type", "bind"}, {"Source", volume.volume}, {"Target", volume.path}, {"ReadOnly", volume.readOnly}}));
  }
  host->set("Mounts", mounts);
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
