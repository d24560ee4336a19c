#pragma once

#include "support/Process.h"
#include "support/TempDir.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace matrixos::test {

/// Ends the program as skipped (77) with a reason, or as failed when the environment says CI=true.
[[noreturn]] void skip(const std::string &reason);

/// A container engine for one test program: this machine's Docker, or a Podman service with a storage and networks of
/// its own, which ends with the object. What is made in Docker is its maker's to remove.
class ContainerEngine {
public:
  /// "docker" or "podman". Skips the program where that is not to be had.
  explicit ContainerEngine(const std::string &name);
  ~ContainerEngine();
  ContainerEngine(const ContainerEngine &) = delete;
  ContainerEngine &operator=(const ContainerEngine &) = delete;

  bool isPodman() const noexcept { return podman_ != nullptr; }
  /// Of the socket that serves Docker's API.
  std::filesystem::path socket() const;
  /// Its own command line, up to the arguments.
  const std::vector<std::string> &command() const noexcept { return command_; }
  /// Runs its command line. `input` goes to the standard input.
  Finished run(std::vector<std::string> arguments, const std::string &input = {}) const;

private:
  void startPodman();

  TempDir dir_;
  std::vector<std::string> command_;
  std::unique_ptr<Process> podman_;
};

} // namespace matrixos::test
