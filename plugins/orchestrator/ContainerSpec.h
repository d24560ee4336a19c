/// What a container is made from.
#pragma once

#include "Instance.h"
#include "Settings.h"

#include <string>
#include <string_view>
#include <vector>

namespace matrixos::orchestrator {

/// A spec as runtimes take it (abi/runtime.h), and the hash of what matters in it. The hash leaves out the token and
/// the labels that change with each try, so that an equal spec is recognised however often it was attempted.
struct ContainerSpec {
  std::string json;
  std::string hash;
  /// MOS_LABEL_SPEC_HASH: by it runtimes adopt a container, so it says as well which token that has.
  std::string label;

  /// `token`: what instance.tokenHash is the hash of. Without one the spec serves to recognise containers, not to make
  /// one.
  static ContainerSpec make(const Instance &instance, const Settings &settings, std::string_view token = {});
};

/// Whether a container with this MOS_LABEL_SPEC_HASH was given the instance's token.
bool namesToken(std::string_view label, const Instance &instance);

/// Request of Runtime::volumeEnsure for the user's data at `path`, "" for where the settings have it lie. An instance
/// that once ran has it. `others` are some that exist beside it.
std::string volumeRequest(const Instance &instance, const Settings &settings, const std::string &path,
                          const std::vector<std::string> &others);
/// Selects the containers of this installation, for list and events.
std::string installLabels(const Settings &settings);

} // namespace matrixos::orchestrator
