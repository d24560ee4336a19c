/// What a container is made from.
#pragma once

#include "Instance.h"
#include "Settings.h"

#include <string>
#include <vector>

namespace matrixos::orchestrator {

/// A spec as runtimes take it (abi/runtime.h), and the hash of what matters in it. The hash leaves out the labels that
/// change with each try, so that an equal spec is recognised however often it was attempted.
struct ContainerSpec {
  std::string json;
  std::string hash;

  static ContainerSpec make(const Instance &instance, const Settings &settings);
};

/// Request of Runtime::volumeEnsure for the user's data at `path`, "" for where the settings have it lie. An instance
/// that once ran has it. `others` are some that exist beside it.
std::string volumeRequest(const Instance &instance, const Settings &settings, const std::string &path,
                          const std::vector<std::string> &others);
/// Selects the containers of this installation, for list and events.
std::string installLabels(const Settings &settings);

} // namespace matrixos::orchestrator
