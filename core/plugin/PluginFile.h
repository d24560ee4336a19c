#pragma once

#include "plugin/ElfFile.h"

#include <matrixos/abi/plugin.h>
#include <matrixos/file_descriptor.hpp>

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace matrixos::plugin {

class PluginFiles;

/// What was found out about a plugin's file while it was loaded.
struct FileFacts {
  std::filesystem::path path; ///< the operator's file, links resolved
  std::filesystem::path copy; ///< what is mapped
  std::string owner;
  std::uint32_t mode = 0; ///< permission bits
  std::uint64_t size = 0;
  std::int64_t modifiedMs = 0;
  std::string sha256;
  /// Device, inode, size and times: whether it is still the same file.
  struct stat identity {};

  /// The file at `path` is no longer what was loaded: replaced, rewritten or removed.
  bool changedOnDisk() const;
};

// The steps of PluginFile::load(), for tools that look at files wherever they lie and say everything they find.

/// A plugin's file, open. What is said of it is said of the open file, whatever is put in its place meanwhile.
struct OpenPluginFile {
  std::filesystem::path path;
  FileDescriptor fd;
  struct stat info {};
};

/// Copies the file and reads the copy's tables. Runs no code of it. Throws Error.
FileFacts copyPluginFile(const OpenPluginFile &file, const std::string &id, PluginFiles &files, ElfFile &elf);
/// Loads the copy, which runs its constructors, and asks its entry function. Throws Error(FailedPrecondition).
const mos_descriptor_v1 *loadPluginCopy(const FileFacts &facts, const ElfFile &elf);

/// A plugin's shared object, checked and loaded. The code stays mapped until the process ends, even when the object
/// is destroyed: callbacks of a plugin that was given up may still run in it.
class PluginFile {
public:
  /// Loads a private copy of `<folder>/<id>.so`. The file is opened once; its owner and mode are those of the open
  /// file, and what is checked afterwards is the copy that is loaded, so nothing can be exchanged in between. Throws
  /// Error:
  ///   NotFound            no such file (with the plugins that are there)
  ///   PermissionDenied    file or folder is not owned by root or our own user, can be written by others, or the file
  ///                       is a link that leaves the folder; the message names owner and mode
  ///   FailedPrecondition  not a shared object of this machine, unresolved symbols, no entry function, one that
  ///                       comes from another file, or a folder for copies that code cannot be loaded from
  ///   Unavailable         it was being written meanwhile
  static PluginFile load(const std::filesystem::path &folder, const std::string &id, PluginFiles &files);
  /// The first half of load(): checks and copies, and runs nothing of it. For a plugin that another process will load.
  static FileFacts prepare(const std::filesystem::path &folder, const std::string &id, PluginFiles &files);

  /// Ids of the files in `folder` that could be plugins, sorted.
  static std::vector<std::string> idsIn(const std::filesystem::path &folder);

  /// The operator's file, links resolved.
  const std::filesystem::path &path() const noexcept { return facts_.path; }
  const FileFacts &facts() const noexcept { return facts_; }
  /// What the entry function returned; not validated, maybe null.
  const mos_descriptor_v1 *descriptor() const noexcept { return descriptor_; }

private:
  PluginFile(FileFacts facts, const mos_descriptor_v1 *descriptor)
      : facts_(std::move(facts)), descriptor_(descriptor) {}

  FileFacts facts_;
  const mos_descriptor_v1 *descriptor_;
};

} // namespace matrixos::plugin
