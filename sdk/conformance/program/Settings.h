#pragma once

#include "../Conformance.h"
#include "HostLife.h"
#include "IniFile.h"

#include <chrono>
#include <string>
#include <vector>

namespace matrixos::conformance {

/// Everything the command line and the configuration say.
struct Settings {
  std::string plugin; ///< the file
  std::string configFile;
  std::vector<std::string> overrides; ///< section.key=value
  std::string pattern;
  std::string jsonFile; ///< "-": standard output
  std::string instance; ///< which matrixos.runtime/1 of the plugin; empty: the only one
  std::string durable = "auto";
  std::string workDirectory; ///< of this run, made by the first process
  bool coreOnly = false;
  bool listOnly = false;
  bool verbose = false;
  std::chrono::milliseconds caseTimeout{60'000};
  Options options;
  IniFile config;

  /// How this process was started: empty for the one that a person started, else "cases" or "serve".
  std::string role;

  /// Where the process that runs cases notes its calls.
  std::string traceFile() const { return workDirectory + "/calls"; }
  HostFacts facts() const { return {workDirectory + "/data", "01CONFORMANCE" + options.runId, verbose}; }
};

/// Reads arguments and configuration. Throws Error(InvalidArgument) for wrong usage. Prints help or version and exits
/// when asked to.
Settings readSettings(int argc, char **argv);
/// The arguments that give another process the same settings, without the program's name.
std::vector<std::string> argumentsOf(const Settings &settings, const std::string &role);

} // namespace matrixos::conformance
