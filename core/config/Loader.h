#pragma once

#include "config/RawConfig.h"

#include <filesystem>
#include <string>
#include <vector>

namespace matrixos::config {

/// What a configuration is made of.
struct LoadOptions {
  /// INI or XML, by its ending or else by its first character. Empty: defaults, environment and command line alone.
  std::filesystem::path file;
  /// "section.key=value", in the order of the command line.
  std::vector<std::string> sets;
  /// "NAME=value"; those that start with MATRIXOS_ count, and CREDENTIALS_DIRECTORY. See processEnvironment().
  std::vector<std::string> environment;
  /// Where relative names start; empty means the current directory. A daemon keeps the directory it was started in,
  /// since it may leave it and still has to find the file again on reload.
  std::filesystem::path workingDirectory;
  /// Another process is going to run with the configuration: a systemd credential that this one was not given is a
  /// warning.
  bool onlyLooks = false;
};

/// Reads the file, then conf.d/*.ini and conf.d/*.xml beside it in the order of their names, then the environment and
/// the command line. Never fails because of what it finds: problems are kept in the result, for validate() to report
/// together with its own.
RawConfig load(const LoadOptions &options);

/// The process's environment as "NAME=value". Not while another thread calls setenv.
std::vector<std::string> processEnvironment();

} // namespace matrixos::config
