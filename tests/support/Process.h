#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace matrixos::test {

/// What a finished program left.
struct Finished {
  int status = -1; ///< exit code, or 128 + signal
  std::string out; ///< stdout and stderr
};

/// Runs a program to its end, at most `limit`, then kills it (status 137). `input` goes to its standard input.
Finished run(const std::vector<std::string> &command, const std::string &input = {},
             std::chrono::milliseconds limit = std::chrono::seconds{60});

/// A program in the background; its output goes to `log`. Killed with the object.
class Process {
public:
  Process(const std::vector<std::string> &command, const std::filesystem::path &log,
          const std::vector<std::string> &environment = {});
  ~Process();
  Process(const Process &) = delete;
  Process &operator=(const Process &) = delete;

  pid_t pid() const noexcept { return pid_; }
  bool running();
  void signal(int number) const;
  /// Exit code, or 128 + signal; nothing when it still runs after `limit`.
  std::optional<int> wait(std::chrono::milliseconds limit);

private:
  pid_t pid_ = -1;
  std::optional<int> status_;
};

} // namespace matrixos::test
