#include "Instance.h"

#include <matrixos/status.hpp>
#include <matrixos/text/time.hpp>

#include <array>

namespace matrixos::orchestrator {

namespace {

constexpr std::array<std::string_view, 6> kSteps{"", "volume", "image", "create", "start", "undo"};

Error unknownWord(const char *what, std::string_view word) {
  return Error(Status::DataLoss,
               "the database holds the " + std::string(what) + " \"" + std::string(word) +
                   "\", which this version does not know; was it written by a newer one?",
               "UNKNOWN_VALUE");
}

} // namespace

std::string_view wordOf(Step step) noexcept {
  return kSteps[static_cast<std::size_t>(step)];
}

Phase phaseOf(std::string_view name) {
  const Phase phase = instancePhaseOf(name);
  if (phase == Phase::Unknown) throw unknownWord("phase", name);
  return phase;
}

Desired desiredOf(std::string_view name) {
  const Desired desired = instanceDesiredOf(name);
  if (desired == Desired::Unknown) throw unknownWord("desired state", name);
  return desired;
}

Step stepOf(std::string_view name) {
  for (std::size_t i = 0; i < kSteps.size(); ++i) {
    if (name == kSteps[i]) return static_cast<Step>(i);
  }
  throw unknownWord("step", name);
}

InstanceStatus statusOf(const Instance &instance) noexcept {
  switch (instance.phase) {
  case Phase::Running:
    return InstanceStatus::Running;
  case Phase::Sleeping:
    return InstanceStatus::Sleeping;
  case Phase::Deleting:
    return InstanceStatus::Deleting;
  case Phase::Stopping:
  case Phase::Stopped:
    return InstanceStatus::Stopped;
  case Phase::Pending:
  case Phase::Provisioning:
  case Phase::Created:
  case Phase::Starting:
    return instance.onceRan() ? InstanceStatus::Stopped : InstanceStatus::Provisioning;
  case Phase::Failed:
  case Phase::Unknown:
    break;
  }
  return InstanceStatus::Failed;
}

std::string deletedJson(const std::string &handle, const std::string &id, std::uint64_t rev) {
  InstanceRecord record;
  record.handle = handle;
  record.id = id;
  record.rev = rev;
  record.status = InstanceStatus::Deleted;
  return record.toJson();
}

} // namespace matrixos::orchestrator
