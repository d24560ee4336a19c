#include "ctl/PluginProbe.h"

#include "common/AtomicFile.h"
#include "isolation/PluginDescription.h"

#include <matrixos/status.hpp>

#include <cstdlib>

namespace matrixos::ctl {

namespace {

namespace fs = std::filesystem;

bool isIn(const std::string &folders, const fs::path &home, const std::string &library) {
  for (std::size_t at = 0; at < folders.size();) {
    const std::size_t end = std::min(folders.find(':', at), folders.size());
    std::string folder = folders.substr(at, end - at);
    if (folder.rfind("$ORIGIN", 0) == 0) folder.replace(0, 7, home.string());
    std::error_code error;
    if (fs::exists(fs::path(folder) / library, error)) return true;
    at = end + 1;
  }
  return false;
}

/// The names that ldconfig(8) found, each with a zero behind it; empty where there is no such file.
std::string loaderCache() {
  try {
    return common::readFile("/etc/ld.so.cache");
  } catch (const Error &) {
    return {};
  }
}

} // namespace

std::vector<std::string> missingLibraries(const plugin::FileFacts &facts, const plugin::ElfFile &elf) {
  const char *path = std::getenv("LD_LIBRARY_PATH");
  const std::string folders = elf.runPath + ":" + (path != nullptr ? path : "") + ":/lib:/usr/lib:/lib64:/usr/lib64";
  const std::string cache = loaderCache();
  std::vector<std::string> missing;
  for (const std::string &library : elf.needed) {
    // $ORIGIN counts from the copy that the daemon runs.
    if (isIn(folders, facts.copy.parent_path(), library)) continue;
    if (cache.find(library + '\0') != std::string::npos) continue;
    missing.push_back(library + ": cannot open shared object file");
  }
  return missing;
}

ProbedPlugin probePlugin(const fs::path &file, const std::string &name, const std::string &id,
                         std::chrono::milliseconds patience) {
  using isolation::PluginDescription;
  ProbedPlugin probed;
  try {
    const fs::path program = fs::read_symlink("/proc/self/exe").parent_path() / "matrixos-plugin-host";
    const auto description = PluginDescription::ask(program, file, name, patience, PluginDescription::Trust::Stranger);
    probed.manifest = plugin::Manifest::read(description->descriptor(), id);
  } catch (const std::exception &e) {
    probed.problem = e.what();
  }
  return probed;
}

} // namespace matrixos::ctl
