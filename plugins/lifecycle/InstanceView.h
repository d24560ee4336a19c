#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::lifecycle {

/// One address under which an instance may be reached: an entry of the record's "endpoints".
struct Target {
  std::string name;    ///< "gateway" or "shell"
  std::string address; ///< IPv4 or IPv6 literal
  std::uint16_t port = 0;
  std::string scope; ///< "bridge" or "host"
  std::string epoch; ///< changes whenever the address may have passed to somebody else

  bool operator==(const Target &) const = default;
};

/// The record's "status"; Deleted is how a watch reports the end, Unknown is a word from the future.
enum class InstanceStatus : std::uint8_t {
  Unknown,
  Provisioning,
  Running,
  Stopped,
  Sleeping,
  Failed,
  Deleting,
  Deleted
};

/// What the lifecycle reads of an instance record (abi/orchestrator.h).
struct InstanceView {
  std::string handle;
  std::uint64_t rev = 0;
  std::uint64_t activitySeq = 0;
  InstanceStatus status = InstanceStatus::Unknown;
  bool starting = false; ///< the engine is at work on the start
  std::string lastError;
  std::vector<Target> endpoints;

  /// No longer there for anybody who asks for it.
  bool gone() const noexcept { return status == InstanceStatus::Deleting || status == InstanceStatus::Deleted; }
  bool running() const noexcept { return status == InstanceStatus::Running; }
  /// The addresses of one endpoint, those inside the machine first: a published port may be answered by a userland
  /// proxy long before the instance listens.
  std::vector<Target> targets(std::string_view endpoint) const;
};

/// Reads a record. Throws matrixos::Error(InvalidArgument) when it is no such JSON.
InstanceView parseInstance(std::string_view json);

} // namespace matrixos::lifecycle
