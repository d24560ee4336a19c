#pragma once

#include "config/RawConfig.h"
#include "config/Schema.h"

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace matrixos::ctl {

/// What the daemon's configuration says that is needed to find it and its plugins. No plugin is asked for its keys.
struct Settings {
  config::RawConfig raw;
  config::Schema core;
  std::filesystem::path plugins; ///< the folder
  std::filesystem::path dataDir;
  std::vector<std::string> enabled;
  std::string adminSocket; ///< empty when there is none
  std::string unreadable;  ///< why the default file cannot be read, whose values are the defaults then; else empty
  uid_t user = 0;          ///< the daemon's, as far as the data directory tells; else our own

  /// Of that file; empty: the default one, or without it the defaults. Throws Failure(EX_CONFIG) when a file that was
  /// named cannot be read.
  static Settings read(const std::string &file);
};

} // namespace matrixos::ctl
