#pragma once

#include <matrixos/instance_spec.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::simulated {

/// Labels, sorted by name.
using Labels = std::vector<std::pair<std::string, std::string>>;

enum class Restart : std::uint8_t { No, Always, UnlessStopped, OnFailure };

using PortSpec = InstanceSpec::Port;

/// What create() is given (abi/runtime.h), as small as 100,000 of them have to be. Members without a meaning here (env,
/// command, hostAliases) are checked and forgotten.
struct Spec {
  std::string name;
  std::string image;
  Labels labels;
  std::int64_t memoryBytes = 0; ///< 0: unlimited
  double cpus = 0;              ///< 0: unlimited
  Restart restart = Restart::No;
  std::vector<std::string> networks;
  std::vector<std::string> volumes; ///< refs
  std::vector<PortSpec> ports;

  /// Throws Error(InvalidArgument, BAD_SPEC or BAD_JSON) that names the member.
  static Spec parse(std::string_view json);
  /// "" when there is no such label.
  std::string_view label(std::string_view key) const noexcept;
};

/// Labels from a JSON object of texts; an empty text is no labels. Throws Error(InvalidArgument).
Labels parseLabels(std::string_view json);

} // namespace matrixos::simulated
