#pragma once

#include "Settings.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::docker {

using Labels = std::map<std::string, std::string>;

struct NetworkSpec {
  std::string name;
  std::string driver = "bridge";
};

struct VolumeMount {
  std::string hostPath; ///< the volume's ref
  std::string path;     ///< inside
  bool readOnly = false;
};

struct PortSpec {
  std::string name;
  std::uint16_t containerPort = 0;
  std::uint16_t hostPort = 0; ///< 0: not published
  std::string hostAddress = "127.0.0.1";
};

/// An instance spec (abi/runtime.h), checked member by member. Only what stands here reaches the engine: no member of
/// the JSON is passed through.
struct InstanceSpec {
  std::string name;
  std::string image;
  Labels labels;
  std::map<std::string, std::string> env;
  std::vector<std::string> command;
  std::int64_t memoryBytes = 0; ///< 0: unlimited
  double cpus = 0;              ///< 0: unlimited
  std::int64_t pidsLimit = -1;  ///< -1: the configured default; 0: unlimited
  std::string restart = "no";
  std::vector<NetworkSpec> networks;
  std::vector<std::string> hostAliases;
  std::vector<VolumeMount> volumes;
  std::vector<PortSpec> ports;

  /// Throws Error(InvalidArgument, BAD_SPEC or BAD_JSON) that names the member.
  static InstanceSpec parse(std::string_view json);
};

/// Labels from a JSON object of texts. Throws Error(InvalidArgument).
Labels parseLabels(std::string_view json);

/// Body of the engine's POST /containers/create (API v1.41). `aliasAddress` is what hostAliases resolve to.
std::string createBody(const InstanceSpec &spec, const Settings &settings, const std::string &aliasAddress);

/// SHA-256 over what createBody would send, without labels: equal specs have equal hashes.
std::string specHash(InstanceSpec spec, const Settings &settings);

} // namespace matrixos::docker
