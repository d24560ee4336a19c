#pragma once

#include "config/ConfigError.h"
#include "config/Credentials.h"

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace matrixos::config {

/// One `key = value` as written, trimmed and unquoted.
struct RawValue {
  std::string section;
  std::string key;
  std::string text;
  Origin origin;
  bool commented = false; ///< holds what other INI dialects would take for a comment, outside of quotes
};

/// A section's first line, in a file.
struct RawSection {
  std::string name;
  Origin origin;
};

/// What files, environment and command line say, before anybody has looked at the meaning. It carries the problems
/// met so far, so that the operator sees all of them at once, after validation.
struct RawConfig {
  /// The main file as the operator named it; empty when there is none.
  std::filesystem::path file;
  /// Relative paths of the environment and the command line start here. Absolute.
  std::filesystem::path workingDirectory;
  /// What systemd gave this process.
  Credentials credentials;
  /// See LoadOptions.
  bool onlyLooks = false;
  /// Every file that was read, in order.
  std::vector<std::string> files;
  std::vector<RawSection> sections;
  /// Of files and command line, in the order they were read; the last one of a key wins.
  std::vector<RawValue> values;
  /// The variables that start with MATRIXOS_.
  std::map<std::string, std::string> environment;
  std::vector<ConfigProblem> problems;
  std::vector<std::string> warnings;

  void addProblem(Origin origin, std::string text) { problems.push_back({std::move(origin), std::move(text)}); }
};

} // namespace matrixos::config
