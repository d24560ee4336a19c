#pragma once

#include "plugin/Manifest.h"
#include "plugin/PluginFile.h"

#include <chrono>
#include <filesystem>
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

/// Has the file loaded by matrixos-plugin-host, without rights and confined, and asks for its descriptor: the
/// constructors of a stranger's file may crash, hang for as long as `patience`, print or do harm, and that has to be a
/// finding. `name`: of the file, in what is said of it.
ProbedPlugin probePlugin(const std::filesystem::path &file, const std::string &name, const std::string &id,
                         std::chrono::milliseconds patience);

} // namespace matrixos::ctl
