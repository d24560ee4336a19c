#pragma once

#include <matrixos/status.hpp>

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::config {

/// Where a value was written.
struct Origin {
  /// Later ones win.
  enum class Source { Default, File, Environment, CommandLine };

  Source source = Source::Default;
  /// The file as the operator named it, or the variable.
  std::string name;
  /// 1 is the first; 0 for the whole file and for everything that has no lines.
  std::size_t line = 0;
  /// Files are numbered as they are read, so that problems can be reported in that order.
  std::size_t fileNumber = 0;

  /// "etc/matrixosd.ini:12", "MATRIXOS_API_AUTH", "--set" or "default".
  std::string toString() const;
};

/// One thing that is wrong with the configuration, for the operator.
struct ConfigProblem {
  Origin origin;
  std::string text;

  /// `etc/matrixosd.ini:12: unknown key "imgae" in [orchestrator]; did you mean "image"?`
  std::string toString() const;
};

/// Everything that is wrong with a configuration, in the order of the files and their lines.
class ConfigError : public Error {
public:
  /// what() has one problem per line.
  explicit ConfigError(std::vector<std::string> problems);
  const std::vector<std::string> &problems() const noexcept { return problems_; }

private:
  std::vector<std::string> problems_;
};

/// One `key = value` as written, trimmed and unquoted.
struct RawValue {
  std::string section;
  std::string key;
  std::string text;
  Origin origin;
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
