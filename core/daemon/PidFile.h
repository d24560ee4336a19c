#pragma once

#include <matrixos/file_descriptor.hpp>

#include <sys/stat.h>

#include <filesystem>

namespace matrixos::daemon {

/// `--pidfile`: a file that holds this process's id as long as this object lives, locked all the while. A file that
/// another process holds, or that is something else, is left as it is.
class PidFile {
public:
  /// Throws Error: Unavailable when a process that runs holds the file, FailedPrecondition when it is no file of a
  /// process id, and for a file that cannot be written.
  explicit PidFile(std::filesystem::path path);
  /// Removes the file, unless another one has taken its place.
  ~PidFile();
  PidFile(const PidFile &) = delete;
  PidFile &operator=(const PidFile &) = delete;

private:
  bool isThere() const;

  const std::filesystem::path path_;
  FileDescriptor file_;
};

} // namespace matrixos::daemon
