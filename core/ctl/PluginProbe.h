#pragma once

#include "plugin/Manifest.h"
#include "plugin/PluginFile.h"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace matrixos::ctl {

/// What a plugin said of itself, or what became of the attempt.
struct ProbedPlugin {
  std::optional<plugin::Manifest> manifest; ///< without create()
  std::string problem;                      ///< why there is none
  bool crashed = false;                     ///< its code did not return, and nor would it in the daemon
  std::vector<std::string> missing;         ///< needed libraries that were not found, in the loader's words
};

/// Loads the copy in a child process and asks it for its descriptor: the constructors of a stranger's file may crash,
/// hang, print or leave threads, and that has to be a finding, not the end of the tool. At most `patience`.
ProbedPlugin probePlugin(const plugin::FileFacts &facts, const plugin::ElfFile &elf, const std::string &id,
                         std::chrono::milliseconds patience = std::chrono::seconds{10});

} // namespace matrixos::ctl
