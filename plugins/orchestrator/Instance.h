/// What the platform knows of one user's instance: the record, its phases, and how both read as JSON.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::orchestrator {

/// Where an instance stands. Pending to Starting lead up; any phase may turn to Deleting.
enum class Phase { Pending, Provisioning, Created, Starting, Running, Sleeping, Stopping, Stopped, Failed, Deleting };

/// What the owner or the idle sweep wants.
enum class Desired { Running, Stopped, Deleted };

/// The effect that comes next in a launch, written to the database before it is tried.
enum class Step {
  None,
  Volume, ///< make the user's data folder
  Image,  ///< make the image present
  Create, ///< create the container
  Start,  ///< start it
  Undo,   ///< take back a first provision that failed
};

const char *phaseName(Phase phase) noexcept;
const char *desiredName(Desired desired) noexcept;
const char *stepName(Step step) noexcept;
/// Throw Error(DataLoss) for a word that this version does not know.
Phase phaseOf(std::string_view name);
Desired desiredOf(std::string_view name);
Step stepOf(std::string_view name);

/// Where a running instance can be reached (abi/runtime.h).
struct Endpoint {
  std::string name;
  std::string address;
  int port = 0;
  std::string scope;
  std::string epoch;

  bool operator==(const Endpoint &) const = default;
};

/// How far a launch has come, for those who wait. Kept in memory alone.
struct Progress {
  std::string phase;
  std::int64_t current = 0;
  std::int64_t total = 0; ///< 0: unknown
};

/// One record. Times are milliseconds since the epoch.
struct Instance {
  std::string id; ///< ULID, for good
  std::string handle;
  std::string clerkUserId;
  Phase phase = Phase::Pending;
  Desired desired = Desired::Running;
  std::uint64_t rev = 0;               ///< of the record as it is announced
  std::uint64_t rowRev = 0;            ///< of the row as it is stored; lower after a change that lives in memory alone
  std::int64_t generation = 1;         ///< counts the specs a container was made from
  std::int64_t observedGeneration = 0; ///< the one that the engine runs
  std::string runtime;
  std::string node;
  std::string containerId; ///< the runtime's ref; empty: there is none
  std::string image;
  std::string imageDigest;
  std::string specHash;
  std::string volume;         ///< the runtime's ref of the data folder
  bool volumeCreated = false; ///< by this instance's provision
  int port = 0;               ///< host port of the gateway; 0: none published
  int shellPort = 0;
  std::string operationId;
  Step step = Step::None;
  std::int64_t retryAt = 0;
  std::int64_t failures = 0;
  std::string lastError;
  std::int64_t createdAt = 0;
  std::int64_t updatedAt = 0;
  std::int64_t provisionedAt = 0;  ///< first time it ran; 0: never yet
  std::int64_t lastActive = 0;     ///< as of loading; the table holds the current value
  std::uint64_t activitySeq = 0;   ///< likewise
  std::vector<Endpoint> endpoints; ///< best first; kept in memory alone

  /// The name of its container: "matrixos-alice".
  std::string containerName() const { return "matrixos-" + handle; }
  bool onceRan() const noexcept { return provisionedAt != 0; }
};

using InstancePtr = std::shared_ptr<const Instance>;

/// The status that users see: "provisioning", "running", "stopped", "sleeping", "failed" or "deleting". An instance on
/// its way up or down counts as stopped: a request that comes now has to wait for a start.
const char *statusOf(const Instance &instance) noexcept;
/// All of them, ended by a null pointer.
extern const char *const kStatuses[7];

/// The contract's JSON (abi/orchestrator.h).
std::string instanceJson(const Instance &instance, std::int64_t lastActive, std::uint64_t activitySeq,
                         const Progress *progress);
/// What is left to say of a deleted one.
std::string deletedJson(std::string_view handle, std::string_view id, std::uint64_t rev);

/// A record with what changes without a revision.
struct InstanceView {
  InstancePtr instance;
  std::int64_t lastActive = 0;
  std::uint64_t activitySeq = 0;
  std::optional<Progress> progress;

  std::string json() const { return instanceJson(*instance, lastActive, activitySeq, progress ? &*progress : nullptr); }
};

} // namespace matrixos::orchestrator
