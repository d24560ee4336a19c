#pragma once

#include "support/Process.h"

#include <matrixos/json.hpp>

#include <string>
#include <vector>

namespace matrixos::test {

/// What the engine itself says, asked with its own command line.
inline std::string docker(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "docker");
  std::string out = run(arguments).out;
  while (!out.empty() && out.back() == '\n')
    out.pop_back();
  return out;
}

inline bool containerExists(const std::string &handle) {
  return !docker({"ps", "-aq", "--filter", "name=^matrixos-" + handle + "$"}).empty();
}

inline std::string inspect(const std::string &handle, const std::string &format) {
  return docker({"inspect", "--format", format, "matrixos-" + handle});
}

} // namespace matrixos::test
