/// matrixos/instance_spec.hpp: the instance spec of abi/runtime.h as a checked C++ value. Needs nlohmann/json.
#pragma once

#include <matrixos/address.hpp>
#include <matrixos/managed/json_reader.hpp>
#include <matrixos/names.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace matrixos {
inline namespace v1 {

using Labels = std::map<std::string, std::string>;

/// What an instance is made of. Every field has been checked; unknown members of the JSON are gone.
struct InstanceSpec {
  struct Network {
    std::string name;
    std::string driver = "bridge";
  };
  struct Volume {
    std::string volume; ///< the ref that volumeEnsure() gave
    std::string path;   ///< where the instance sees it
    bool readOnly = false;
  };
  struct Port {
    std::string name;
    std::uint16_t containerPort = 0;
    std::uint16_t hostPort = 0; ///< 0: none
    std::string hostAddress = "127.0.0.1";
  };

  std::string name;
  std::string image;
  Labels labels;
  std::map<std::string, std::string> env;
  std::vector<std::string> command; ///< empty: the image's own
  std::int64_t memoryBytes = 0;     ///< 0: no limit
  double cpus = 0;                  ///< 0: no limit
  std::int64_t pidsLimit = -1;      ///< 0: no limit; -1: not said, the runtime's own
  std::string restart = "no";       ///< no, always, unless-stopped or on-failure
  std::vector<Network> networks;
  std::vector<std::string> hostAliases;
  std::vector<Volume> volumes;
  std::vector<Port> ports;

  /// "" when there is none.
  const std::string &label(const std::string &key) const noexcept {
    static const std::string kNone;
    const auto found = labels.find(key);
    return found == labels.end() ? kNone : found->second;
  }
  /// Null when there is none.
  const Port *port(std::string_view portName) const noexcept {
    for (const Port &item : ports) {
      if (item.name == portName) return &item;
    }
    return nullptr;
  }

  /// Throws Error(InvalidArgument, BAD_JSON or BAD_SPEC) that names the member and what it should be.
  static InstanceSpec parse(std::string_view json);
  std::string toJson() const;
};

namespace managed {

inline Error badSpec(const std::string &what) {
  return Error(Status::InvalidArgument, "instance spec: " + what, "BAD_SPEC");
}

inline bool isClean(std::string_view text) noexcept {
  constexpr std::size_t kMaxText = 32U * 1024;
  if (text.size() > kMaxText) return false;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return false;
  }
  return true;
}

inline std::uint16_t readPort(const Json &item, const char *key) {
  const std::int64_t port = integerOr(item, key, 0);
  if (port < 0 || port > 65535) throw badSpec("\"" + std::string(key) + "\" has to be a port, 1 to 65535");
  return static_cast<std::uint16_t>(port);
}

inline InstanceSpec::Port readPortSpec(const Json &item) {
  InstanceSpec::Port port;
  port.name = text(item, "name");
  if (!isEngineName(port.name)) throw badSpec(shown(port.name) + " is no port's name");
  port.containerPort = readPort(item, "containerPort");
  port.hostPort = readPort(item, "hostPort");
  if (port.containerPort == 0) throw badSpec("the port \"" + port.name + "\" has no containerPort");
  port.hostAddress = textOr(item, "hostAddress", "127.0.0.1");
  if (!Address::tryIp(port.hostAddress)) throw badSpec(shown(port.hostAddress) + " is no IP address");
  return port;
}

inline InstanceSpec::Volume readVolume(const Json &item) {
  InstanceSpec::Volume volume{text(item, "volume"), text(item, "path"), flagOr(item, "readOnly", false)};
  if (!isPlainPath(volume.path) || volume.path == "/") throw badSpec(shown(volume.path) + " is no path for a volume");
  return volume;
}

inline void readLimits(const Json &object, InstanceSpec &spec) {
  spec.memoryBytes = integerOr(object, "memoryBytes", 0);
  if (spec.memoryBytes < 0) throw badSpec("memoryBytes is negative");
  spec.cpus = numberOr(object, "cpus", 0);
  if (!(spec.cpus >= 0 && spec.cpus <= 4096)) throw badSpec("cpus has to be between 0 and 4096");
  spec.pidsLimit = integerOr(object, "pidsLimit", -1);
  if (spec.pidsLimit < 0 && find(object, "pidsLimit") != nullptr) throw badSpec("pidsLimit is negative");
  spec.restart = textOr(object, "restart", "no");
  for (const char *policy : {"no", "always", "unless-stopped", "on-failure"}) {
    if (spec.restart == policy) return;
  }
  throw badSpec("restart has to be no, always, unless-stopped or on-failure");
}

/// Texts that have to be strings without NUL, such as a command's words.
inline std::vector<std::string> readWords(const Json &object, const char *key) {
  std::vector<std::string> words;
  eachOf(object, key, [&](const Json &item) {
    if (!item.is_string()) throw badSpec("the items of \"" + std::string(key) + "\" have to be strings");
    words.push_back(item.get<std::string>());
    if (words.back().find('\0') != std::string::npos) throw badSpec("\"" + std::string(key) + "\" holds a NUL");
  });
  return words;
}

inline void readSpec(const Json &object, InstanceSpec &spec) {
  const auto items = [&](const char *key, auto &&read) {
    eachOf(object, key, [&](const Json &item) {
      if (!item.is_object()) throw badSpec("the items of \"" + std::string(key) + "\" have to be objects");
      read(item);
    });
  };
  spec.name = text(object, "name");
  if (!isEngineName(spec.name)) throw badSpec(shown(spec.name) + " is no instance's name");
  spec.image = text(object, "image");
  if (spec.image.empty() || !isClean(spec.image)) throw badSpec(shown(spec.image) + " is no image's name");
  spec.labels = textsOf(object, "labels");
  for (const auto &[key, value] : spec.labels) {
    if (key.empty() || !isClean(key) || !isClean(value)) throw badSpec("the label " + shown(key) + " is malformed");
  }
  spec.env = textsOf(object, "env");
  for (const auto &[key, value] : spec.env) {
    const bool bad = key.empty() || !isClean(key) || key.find('=') != std::string::npos ||
                     value.find('\0') != std::string::npos || value.size() > 32U * 1024;
    if (bad) throw badSpec("the environment variable " + shown(key) + " is malformed");
  }
  spec.command = readWords(object, "command");
  spec.hostAliases = readWords(object, "hostAliases");
  readLimits(object, spec);
  items("networks", [&](const Json &item) {
    spec.networks.push_back({text(item, "name"), textOr(item, "driver", "bridge")});
    if (!isEngineName(spec.networks.back().name)) throw badSpec("a network has no proper name");
  });
  items("volumes", [&](const Json &item) { spec.volumes.push_back(readVolume(item)); });
  items("ports", [&](const Json &item) { spec.ports.push_back(readPortSpec(item)); });
}

} // namespace managed

inline InstanceSpec InstanceSpec::parse(std::string_view json) {
  const managed::Json object = managed::parseObject(json);
  InstanceSpec spec;
  try {
    managed::readSpec(object, spec);
  } catch (const Error &e) {
    if (e.reason() != "BAD_FIELD") throw;
    throw managed::badSpec(e.what());
  }
  return spec;
}

inline std::string InstanceSpec::toJson() const {
  using managed::Json;
  Json object{{"name", name},
              {"image", image},
              {"labels", labels},
              {"env", env},
              {"command", command},
              {"memoryBytes", memoryBytes},
              {"cpus", cpus},
              {"restart", restart},
              {"hostAliases", hostAliases},
              {"networks", Json::array()},
              {"volumes", Json::array()},
              {"ports", Json::array()}};
  if (pidsLimit >= 0) object["pidsLimit"] = pidsLimit;
  for (const Network &item : networks)
    object["networks"].push_back(Json{{"name", item.name}, {"driver", item.driver}});
  for (const Volume &item : volumes)
    object["volumes"].push_back(Json{{"volume", item.volume}, {"path", item.path}, {"readOnly", item.readOnly}});
  for (const Port &item : ports) {
    object["ports"].push_back(Json{{"name", item.name},
                                   {"containerPort", item.containerPort},
                                   {"hostPort", item.hostPort},
                                   {"hostAddress", item.hostAddress}});
  }
  return managed::dump(object);
}

} // namespace v1
} // namespace matrixos
