#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string>

namespace matrixos::config {

/// A small file in memory, with what fstat(2) said of it when it was read.
struct TextFile {
  std::string text;
  struct stat info {};

  /// Reads a regular file, following links. Never blocks on a pipe or a device. Throws Error with a sentence that does
  /// not name the file: "cannot be opened: …", "is a directory", "is larger than 1 MB".
  static TextFile read(const std::filesystem::path &path, std::size_t maxBytes);
};

/// The value of a secret kept in a file, without the line end. Throws Error with a sentence that names neither file
/// nor value when the file is missing, larger than 64 KB, empty, open to other users, or owned by somebody else than
/// root and `user`.
std::string readSecretFile(const std::filesystem::path &path, uid_t user);

} // namespace matrixos::config
