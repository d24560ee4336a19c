#pragma once

#include "plugin/PluginFile.h"
#include "plugin/Quarantine.h"

#include <matrixos/file_descriptor.hpp>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace matrixos::plugin {

/// Loads plugin files, each from a private copy. Replacing a plugin's file, by rename or in place, thus never touches
/// what is mapped, and the loader takes each copy for a new library; for a path or inode that it knows it would return
/// the old one. Copies stay on disk while the process lives, for debuggers and profilers. Thread-safe.
class PluginFiles {
public:
  /// Copies go to a folder of this process's own in `folder`; both are made (mode 0700) for the first copy, and those
  /// of processes that have ended are removed. Empty: a temporary folder.
  explicit PluginFiles(std::filesystem::path folder = {});
  /// Removes the copies, and the folders that were made for them as far as they are empty. The code stays mapped.
  ~PluginFiles();

  /// For looking at plugins without a data directory, e.g. `matrixosd --check`; removed when the process ends.
  static PluginFiles &temporary();

  /// `<folder>/<id>.so`, as it was loaded before if the file has not changed since. Throws what PluginFile::load
  /// throws.
  PluginFile load(const std::filesystem::path &folder, const std::string &id);
  /// A new copy in any case: code and static variables of its own.
  PluginFile loadAnew(const std::filesystem::path &folder, const std::string &id);

  /// Plugins in quarantine are not loaded. It outlives this object.
  void heed(const Quarantine *quarantine) noexcept { quarantine_ = quarantine; }
  const Quarantine *quarantine() const noexcept { return quarantine_; }

  /// Asked with each copy before its code runs in this process; throws Error when it must not. Empty: nobody asks.
  void probeWith(std::function<void(const FileFacts &copy)> probe) { probe_ = std::move(probe); }
  void probe(const FileFacts &copy) const {
    if (probe_) probe_(copy);
  }

  struct Copy {
    std::filesystem::path path;
    std::string sha256;
  };
  /// Copies what the descriptor reads to `<id>.<n>.so`. Throws Error: FailedPrecondition when code cannot be loaded
  /// from there (noexec), PermissionDenied when the folder is not ours alone, and for failed writes.
  Copy copy(int from, const std::string &id);

private:
  void prepare();
  bool claimOwnFolder(const std::filesystem::path &base, const std::string &prefix);

  const Quarantine *quarantine_ = nullptr;
  std::function<void(const FileFacts &)> probe_; ///< not under mutex_: set by whoever loads
  std::mutex mutex_;
  const std::filesystem::path folder_;
  std::filesystem::path own_;               ///< empty before the first copy
  FileDescriptor lock_;                     ///< on own_: this process lives
  std::vector<std::filesystem::path> made_; ///< folders, in the order they were made
  std::map<std::string, unsigned> count_;   ///< copies so far, by id
  std::map<std::filesystem::path, PluginFile> loaded_;
};

} // namespace matrixos::plugin
