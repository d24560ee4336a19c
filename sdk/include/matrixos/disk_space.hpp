/// matrixos/disk_space.hpp: how much may still be written somewhere.
#pragma once

#include <sys/statvfs.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace matrixos {
inline namespace v1 {

/// Bytes that this process may still write on the disk that holds `path`, or will hold it; 0 also when no file is left
/// there. Nothing when that cannot be found out. Waits for the disk, so never call it from a loop.
inline std::optional<std::uint64_t> freeDiskBytes(std::filesystem::path path) {
  struct statvfs disk {};
  while (::statvfs(path.c_str(), &disk) != 0) {
    if (!path.has_relative_path()) return std::nullopt;
    path = path.parent_path();
  }
  const bool noFilesLeft = disk.f_files != 0 && disk.f_favail == 0; // some file systems do not count them
  return noFilesLeft ? 0 : std::uint64_t{disk.f_bavail} * disk.f_frsize;
}

/// Why nothing can be stored in this folder, as long as that is so: less than 1 MB or no file left on its disk. Else
/// empty.
inline std::string fullDisk(const std::filesystem::path &folder) {
  constexpr std::uint64_t kEnough = 1U << 20U;
  if (freeDiskBytes(folder).value_or(kEnough) >= kEnough) return {};
  return "the disk that holds " + folder.string() + " is full: free some space on it";
}

} // namespace v1
} // namespace matrixos
