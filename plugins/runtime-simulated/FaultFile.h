#pragma once

#include "FaultScript.h"

#include <sys/stat.h>

#include <filesystem>
#include <functional>
#include <mutex>
#include <string>

namespace matrixos::simulated {

/// Keeps a script's rules in step with a file that somebody edits. Any thread.
class FaultFile {
public:
  /// `problem` is told why a new version of the file was not taken (the old rules stay), and "" once all is well.
  FaultFile(std::filesystem::path path, FaultScript &script, std::function<void(const std::string &)> problem);

  /// Reads the file when it has changed. Cheap when it has not: one stat().
  void refresh();

private:
  const std::filesystem::path path_;
  FaultScript &script_;
  const std::function<void(const std::string &)> problem_;
  std::mutex mutex_;
  struct stat seen_ {};
};

} // namespace matrixos::simulated
