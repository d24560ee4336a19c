#pragma once

#include "PackedLabels.h"
#include "Spec.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::simulated {

enum class ContainerState : std::uint8_t { Created, Running, Paused, Exited };
constexpr std::array<std::string_view, 4> kStateNames{"created", "running", "paused", "exited"};

/// What was said of an instance's health from outside; `Own` is what the configuration makes of it.
enum class Health : std::uint8_t { Own, Healthy, Unhealthy };

/// What most instances have in common, kept once for all of them.
struct Shape {
  std::string image;
  std::string digest;
  std::int64_t memoryBytes = 0;
  double cpus = 0;
  Restart restart = Restart::No;
  std::vector<std::string> networks;
  std::vector<PortSpec> ports; ///< their hostPort is the instance's own
  std::size_t users = 0;
};

/// What changes about a container while it exists.
struct Life {
  std::int64_t startedAt = 0;
  std::int64_t finishedAt = 0;
  std::uint32_t address = 0; ///< 0 while it does not run
  std::uint32_t starts = 0;
  std::int32_t exitCode = 0;
  ContainerState state = ContainerState::Created;
  Health health = Health::Own;
  bool oomKilled = false;

  bool isUp() const noexcept { return state == ContainerState::Running || state == ContainerState::Paused; }
};

/// One simulated container. Kept small: there are 100,000 of them.
struct Container {
  std::uint64_t serial = 0; ///< order of creation, never used twice
  std::string name;
  PackedLabels labels;
  Shape *shape = nullptr;
  std::vector<std::uint16_t> hostPorts; ///< one a port of the shape, 0: not published; empty when none is
  std::uint64_t operation = 0;          ///< hash of the operation id it was created by, 0: none
  std::int64_t createdAt = 0;
  Life life;
};

/// The engine's name for the container with that serial: "sim" and 12 hexadecimal digits, which look random and differ
/// for any two serials.
std::string refOf(std::uint64_t seed, std::uint64_t serial);
/// The serial behind a ref; nothing when the text is none.
std::optional<std::uint64_t> serialOf(std::uint64_t seed, std::string_view ref) noexcept;

} // namespace matrixos::simulated
