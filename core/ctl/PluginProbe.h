#pragma once

#include "plugin/Manifest.h"
#include "plugin/PluginFile.h"

#include <optional>
#include <string>
#include <vector>

namespace matrixos::ctl {

/// Needed libraries that the loader will not find, by where it looks (ld.so(8)); runs nothing.
std::vector<std::string> missingLibraries(const plugin::FileFacts &facts, const plugin::ElfFile &elf);

/// What a plugin said of itself, or why it did not.
struct ProbedPlugin {
  std::optional<plugin::Manifest> manifest; ///< with a create() that does nothing
  std::string problem;
};

/// Has the copy loaded by matrixos-plugin-host, without rights and confined, and asks for its descriptor: the
/// constructors of a stranger's file may crash, hang, print or do harm, and that has to be a finding.
ProbedPlugin probePlugin(const plugin::FileFacts &facts, const std::string &id);

} // namespace matrixos::ctl
