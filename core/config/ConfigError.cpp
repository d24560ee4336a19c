#include "config/ConfigError.h"

#include <utility>

namespace matrixos::config {

namespace {

std::string joinLines(const std::vector<std::string> &lines) {
  std::string out;
  for (const auto &line : lines)
    out += (out.empty() ? "" : "\n") + line;
  return out;
}

} // namespace

std::string Origin::toString() const {
  switch (source) {
  case Source::Default:
    return "default";
  case Source::File:
    return line != 0 ? name + ":" + std::to_string(line) : name;
  case Source::Environment:
    return name;
  case Source::CommandLine:
    return "--set";
  }
  return name;
}

std::string ConfigProblem::toString() const {
  return origin.source == Origin::Source::Default ? text : origin.toString() + ": " + text;
}

ConfigError::ConfigError(std::vector<std::string> problems)
    : Error(Status::InvalidArgument, joinLines(problems), "BAD_CONFIG"), problems_(std::move(problems)) {}

} // namespace matrixos::config
