/// The folder that belongs to one daemon.
#pragma once

#include <matrixos/file_descriptor.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace matrixos::storage {

/// Makes the data directory (mode 0700) with its folder run/ and holds its lock, <directory>/lock, as long as it lives,
/// so that no second daemon works on the same data. The kernel gives the lock up when the process ends, however it
/// ends. Make it after any fork: the lock file names the process that made it. Removes what an earlier process was
/// killed over writing.
class DataDirectory {
public:
  /// Throws Error: Unavailable (reason IN_USE) when another process holds the lock, with its process id;
  /// PermissionDenied (reason OWNERSHIP) when others could replace it or what lies in it, see makeOwnFolder(); and so
  /// on when the folder cannot be used.
  explicit DataDirectory(std::filesystem::path path);

  /// What the constructor would say of the owner and mode of a directory that is there already, thrown likewise.
  /// Changes nothing.
  static void check(const std::filesystem::path &path);

  const std::filesystem::path &path() const noexcept { return path_; }

  /// Bytes that this process may still write on its disk; nothing when that cannot be found out.
  std::optional<std::uint64_t> freeBytes() const;

private:
  std::filesystem::path path_;
  FileDescriptor lock_;
};

} // namespace matrixos::storage
