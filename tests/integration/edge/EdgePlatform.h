/// EdgePlatform.h: the daemons that the edge's tests talk to.
#pragma once

#include "Crowd.h"

#include <matrixos/json.hpp>

#include <support/DaemonProcess.h>

#include <cstdint>
#include <filesystem>
#include <sstream>
#include <string>

namespace matrixos::test {

/// The proxy and lifecycle on instances that the configuration names: section fixed-instances, `running` and
/// `sleeping`. What `values` says comes before the defaults.
class EdgePlatform {
public:
  explicit EdgePlatform(DaemonProcess::Values values) : daemon(withDefaults(std::move(values))) {
    const auto folder = daemon.dir() / "plugins";
    std::filesystem::create_directory(folder);
    for (const char *plugin : {"plugins/proxy.so", "plugins/lifecycle.so", "scenario-plugins/fixed-instances.so"}) {
      const auto file = buildDir() / plugin;
      std::filesystem::copy_file(file, folder / file.filename());
    }
    daemon.rewriteConfig({{"plugins.path", folder.string()}});
    daemon.start();
  }

  DaemonProcess daemon;

private:
  static DaemonProcess::Values withDefaults(DaemonProcess::Values values) {
    values.merge(DaemonProcess::Values{{"plugins.enabled", "fixed-instances, lifecycle, proxy"}, {"proxy.loops", "1"}});
    return values;
  }
};

/// The value of a series in the daemon's metrics, "name" or "name{label=\"value\"}"; 0 when it is not there.
inline double metric(const DaemonProcess &daemon, const std::string &series) {
  std::istringstream lines(daemon.api("GET", "/metrics").body);
  for (std::string line; std::getline(lines, line);) {
    if (line.compare(0, series.size() + 1, series + " ") == 0) return std::stod(line.substr(series.size() + 1));
  }
  return 0;
}

/// Open descriptors of the daemon.
inline std::size_t descriptors(DaemonProcess &daemon) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto &entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(daemon.process().pid()) + "/fd"))
    ++count;
  return count;
}

/// Resident memory of the daemon in KB.
inline std::size_t residentKb(DaemonProcess &daemon) {
  std::istringstream status(readFile("/proc/" + std::to_string(daemon.process().pid()) + "/status"));
  for (std::string word; status >> word;) {
    std::size_t kb = 0;
    if (word == "VmRSS:" && status >> kb) return kb;
  }
  return 0;
}

} // namespace matrixos::test
