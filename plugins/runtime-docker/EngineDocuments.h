/// EngineDocuments.h: what the engine tells of itself, its images, networks and containers, as far as it is used.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace matrixos::docker {

struct EngineVersion {
  std::string engine;  ///< "docker" or "podman"
  std::string version; ///< "20.10.24+dfsg1"
  std::string api;     ///< the version spoken with it, "1.41"
};

struct ImageInfo {
  std::string id; ///< "sha256:…" of the image's configuration, the same on every machine
  std::vector<std::string> repoDigests;
};

struct NetworkInfo {
  std::string id;
  std::string name;
  std::string created; ///< RFC 3339
  std::string gateway; ///< of its first IPv4 subnet, or empty
};

/// A container's attachment to one network.
struct Attachment {
  std::string network;
  std::string networkId;
  std::string address; ///< empty while it does not run
};

struct PublishedPort {
  std::uint16_t containerPort = 0;
  std::string hostAddress;
  std::uint16_t hostPort = 0;
};

struct ContainerInfo {
  std::string id;
  std::string name;  ///< without the engine's leading slash
  std::string state; ///< in the words of the contract: created, running, …
  std::string image;
  std::string imageId;
  std::string error;
  std::string health;
  std::string startedAt; ///< as the engine says it
  std::map<std::string, std::string> labels;
  std::int64_t createdMs = 0;
  std::int64_t startedMs = 0;
  int exitCode = 0;
  bool oomKilled = false;
  std::int64_t restarts = 0; ///< by the engine itself since the last start
  std::string networkMode;
  std::vector<Attachment> networks;
  std::vector<PublishedPort> ports;

  /// Its processes exist, perhaps frozen.
  bool isUp() const noexcept { return state == "running" || state == "paused"; }
};

struct ContainerStats {
  std::uint64_t cpuNanos = 0;
  std::uint64_t memoryBytes = 0;
  std::uint64_t memoryLimitBytes = 0;
  std::uint64_t pids = 0;
  std::uint64_t networkRxBytes = 0;
  std::uint64_t networkTxBytes = 0;
};

/// One step of a pull, of one layer or of the whole.
struct PullStep {
  std::string id; ///< of the layer, or empty
  std::string status;
  std::uint64_t current = 0;
  std::uint64_t total = 0;
};

/// The type of an event that tells that a container was taken off a network.
inline constexpr std::string_view kDisconnected = "disconnected";

struct ContainerEvent {
  std::string type; ///< in the words of the contract
  std::string id;
  std::string name;
  std::int64_t timeMs = 0;
  int exitCode = 0;
  std::map<std::string, std::string> attributes; ///< the container's labels among them
};

} // namespace matrixos::docker
