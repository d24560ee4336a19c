#pragma once

#include <matrixos/abi/runtime.h>

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace matrixos::docker {

/// The plugin's configuration, read once at start. Keys and meaning: README.md.
struct Settings {
  std::string installId; ///< of this daemon's data directory; marks what is ours. May be empty in tests
  std::chrono::milliseconds timeout{30'000};
  std::chrono::milliseconds pullSilence{300'000};
  std::size_t maxReply = 32U * 1024 * 1024;
  std::string authFile;
  std::vector<std::string> capDrop{"ALL"};
  std::vector<std::string> capAdd{"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"};
  bool noNewPrivileges = true;
  bool readOnlyRoot = false;
  std::int64_t pidsLimit = 256;                ///< where a spec has none; 0: unlimited
  std::int64_t logMaxBytes = 10 * 1024 * 1024; ///< per log file; 0: the engine's own policy
  std::int64_t logMaxFiles = 3;
  std::string hostGateway;                            ///< what hostAliases resolve to; empty: found out
  std::optional<std::pair<uid_t, gid_t>> volumeOwner; ///< owner of new volume directories
  std::vector<std::string> volumeRoots;               ///< where volumes may lie; empty: see HostVolumes
};

/// Labels that the runtime reads and writes.
namespace label {
constexpr const char *kInstallId = MOS_LABEL_INSTALL;
constexpr const char *kOperationId = MOS_LABEL_OPERATION;
constexpr const char *kSpecHash = MOS_LABEL_SPEC_HASH;
/// New at each attempt: a create whose answer was lost finds its own container by it.
constexpr const char *kAttempt = "matrixos.attempt";
/// The network that the container was made in, which Podman's description leaves out.
constexpr const char *kNetwork = "matrixos.network";
/// "matrixos.endpoint.gateway" = "4000".
constexpr const char *kEndpointPrefix = "matrixos.endpoint.";
} // namespace label

} // namespace matrixos::docker
