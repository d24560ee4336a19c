#pragma once

#include <matrixos/file_descriptor.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace matrixos::testhost {

/// Keeps in a file what is logged while it lives: everything by plugins, warnings and errors by the host. The log is
/// the process's, so there is one at a time. Thread-safe.
class LogCapture {
public:
  struct Line {
    std::uint32_t level = 0;
    std::string logger, message;
    std::vector<std::pair<std::string, std::string>> fields;
  };

  /// Makes the file. Throws Error.
  explicit LogCapture(std::filesystem::path file);
  /// The log goes to standard error again.
  ~LogCapture();
  LogCapture(const LogCapture &) = delete;
  LogCapture &operator=(const LogCapture &) = delete;

  /// All lines so far.
  std::vector<Line> lines() const;

private:
  const std::filesystem::path file_;
  const FileDescriptor fd_;
};

} // namespace matrixos::testhost
