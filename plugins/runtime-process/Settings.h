#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace matrixos::processes {

/// The plugin's configuration; see README.md. Constant while the plugin runs.
struct Settings {
  std::string stateDir; ///< records and logs
  std::string dataDir;  ///< the platform's; hidden from sandboxed instances
  std::string installId;
  std::string command; ///< shell text
  bool allowSpecCommand = true;
  std::string sandbox = "auto"; ///< auto, bubblewrap or none
  std::string cgroups = "auto"; ///< auto or none
  std::optional<std::pair<uid_t, gid_t>> user{};
  std::int64_t logMaxBytes = 10'000'000;
  int logMaxFiles = 3;
  std::vector<std::string> volumeRoots{};
};

} // namespace matrixos::processes
