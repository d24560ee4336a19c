/// What a container is made from.
#pragma once

#include "Instance.h"
#include "Settings.h"

#include <string>

namespace matrixos::orchestrator {

/// A spec as runtimes take it (abi/runtime.h), and the hash of what matters in it. The hash leaves out the labels that
/// change with each try, so that an equal spec is recognised however often it was attempted.
struct ContainerSpec {
  std::string json;
  std::string hash;

  static ContainerSpec make(const Instance &instance, const Settings &settings);
};

/// Request of Runtime::volumeEnsure for the user's data.
std::string volumeRequest(const Instance &instance, const Settings &settings);
/// Selects the containers of this installation, for list and events.
std::string installLabels(const Settings &settings);

} // namespace matrixos::orchestrator
