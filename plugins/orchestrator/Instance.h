/// What the platform knows of one user's instance: the record that everybody sees, and what the orchestrator keeps for
/// itself.
#pragma once

#include <matrixos/instance_record.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace matrixos::orchestrator {

using Phase = InstancePhase;
using Desired = InstanceDesired;
using Endpoint = InstanceEndpoint;
using Progress = InstanceProgress;

/// The effect that comes next in a launch, written to the database before it is tried.
enum class Step {
  None,
  Volume, ///< make the user's data folder
  Image,  ///< make the image present
  Create, ///< create the container
  Start,  ///< start it
  Undo,   ///< take back a first provision that failed
};

std::string_view wordOf(Step step) noexcept;
/// Throw Error(DataLoss) for a word that this version does not know.
Phase phaseOf(std::string_view name);
Desired desiredOf(std::string_view name);
Step stepOf(std::string_view name);

/// One record and what stands beside it in the database. Its status follows from the phase (statusOf), and is set when
/// InstanceTable takes it in; lastActive and activitySeq are those of loading. Endpoints and what the engine says of
/// the run that they belong to are kept in memory alone.
struct Instance : InstanceRecord {
  Instance() {
    phase = Phase::Pending;
    desired = Desired::Running;
    generation = 1;
  }

  std::uint64_t rowRev = 0;            ///< of the row as it is stored; lower after a change that lives in memory alone
  std::int64_t observedGeneration = 0; ///< the generation that the engine runs
  std::string node;
  std::string specHash;
  std::string tokenHash;      ///< of the token that its container was given, InstanceToken::hash; "": none
  std::string volume;         ///< the runtime's ref of the data folder
  bool volumeCreated = false; ///< by this instance's provision
  std::string operationId;
  Step step = Step::None;
  std::int64_t failures = 0;
  std::int64_t updatedAt = 0;
  std::int64_t provisionedAt = 0; ///< first time it ran; 0: never yet
  std::int64_t startedAt = 0;     ///< of this run, by the engine's clock; 0: not known
  bool unstored = false;          ///< what was seen last could not be written: it lives in memory alone, until it can
  std::int64_t restarts = -1;     ///< that the engine has counted, all looked at; -1: not known

  /// The name of its container: "matrixos-alice".
  std::string containerName() const { return "matrixos-" + handle; }
  bool onceRan() const noexcept { return provisionedAt != 0; }
};

using InstancePtr = std::shared_ptr<const Instance>;

/// The status that users see. An instance on its way up or down counts as stopped: a request that comes now has to wait
/// for a start.
InstanceStatus statusOf(const Instance &instance) noexcept;

/// How many statuses a record can have, Provisioning to Deleting.
constexpr std::size_t kStatusCount = 6;
/// The n-th of them, from 0; the other way round, for a status that is one of them.
constexpr InstanceStatus statusAt(std::size_t index) noexcept {
  return static_cast<InstanceStatus>(index + 1);
}
constexpr std::size_t indexOf(InstanceStatus status) noexcept {
  return static_cast<std::size_t>(status) - 1;
}

/// What an event said of a program's end. A hint: that it ended is for the engine's description to say.
struct EndHint {
  std::int64_t exitCode = -1;
  bool oomKilled = false;
  std::int64_t at = 0; ///< by the engine's clock; 0: nothing was said
};

/// A record with what changes without a revision.
struct InstanceView {
  InstancePtr instance;
  std::int64_t lastActive = 0;
  std::uint64_t activitySeq = 0;
  std::shared_ptr<const Progress> progress;
  EndHint endHint{};

  std::string json() const { return instance->toJson(lastActive, activitySeq, progress.get()); }
};

/// What is left to say of a deleted one.
std::string deletedJson(const std::string &handle, const std::string &id, std::uint64_t rev);

} // namespace matrixos::orchestrator
