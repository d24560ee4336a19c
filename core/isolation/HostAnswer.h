#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace matrixos::isolation {

/// What matrixos-plugin-host printed when it was asked about a plugin.
struct HostAnswer {
  std::string text;
  bool late = false;    ///< it had not ended when the time was up, and was killed
  bool tooLong = false; ///< the same, since it did not stop printing
  std::string ending;   ///< how it ended: "died with SIGSEGV"

  /// Starts `program`, whose descriptor 3 is where it prints, and 4 is `input` unless that is -1, and reads at most
  /// `most` bytes until it ends. Throws Error when it cannot be started.
  static HostAnswer ask(const std::filesystem::path &program, const std::vector<std::string> &words, int input,
                        std::size_t most, std::chrono::milliseconds timeout);
};

} // namespace matrixos::isolation
