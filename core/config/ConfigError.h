#pragma once

#include <matrixos/status.hpp>

#include <cstddef>
#include <string>
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

} // namespace matrixos::config
