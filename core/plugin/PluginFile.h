#pragma once

#include <matrixos/abi/plugin.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace matrixos::plugin {

/// A plugin's shared object, checked and loaded. The code stays mapped until the process ends, even when the object
/// is destroyed: callbacks of a plugin that was given up may still run in it.
class PluginFile {
public:
  /// Loads `<folder>/<id>.so`. Throws Error:
  ///   NotFound            no such file (with the plugins that are there)
  ///   PermissionDenied    file or folder is not owned by root or our own user, can be written by others, or the file
  ///                       is a link that leaves the folder; the message names owner and mode
  ///   FailedPrecondition  not a shared object of this machine, unresolved symbols, no entry function, or one that
  ///                       comes from another file
  static PluginFile load(const std::filesystem::path &folder, const std::string &id);

  /// Ids of the files in `folder` that could be plugins, sorted.
  static std::vector<std::string> idsIn(const std::filesystem::path &folder);

  const std::filesystem::path &path() const noexcept { return path_; }
  /// What the entry function returned; not validated, maybe null.
  const mos_descriptor_v1 *descriptor() const noexcept { return descriptor_; }

private:
  PluginFile(std::filesystem::path path, const mos_descriptor_v1 *descriptor)
      : path_(std::move(path)), descriptor_(descriptor) {}

  std::filesystem::path path_;
  const mos_descriptor_v1 *descriptor_;
};

} // namespace matrixos::plugin
