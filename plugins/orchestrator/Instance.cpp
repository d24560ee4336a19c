#include "Instance.h"

#include <matrixos/json_text.hpp>
#include <matrixos/status.hpp>
#include <matrixos/text/time.hpp>

#include <array>
#include <chrono>

namespace matrixos::orchestrator {

namespace {

constexpr std::array kPhases{"pending",  "provisioning", "created", "starting", "running",
                             "sleeping", "stopping",     "stopped", "failed",   "deleting"};
constexpr std::array kDesired{"running", "stopped", "deleted"};
constexpr std::array kSteps{"", "volume", "image", "create", "start", "undo"};

template <typename Enum, std::size_t Count>
Enum fromName(const std::array<const char *, Count> &names, std::string_view name, const char *what) {
  for (std::size_t i = 0; i < Count; ++i) {
    if (name == names[i]) return static_cast<Enum>(i);
  }
  throw Error(Status::DataLoss,
              "the database holds the " + std::string(what) + " \"" + std::string(name) +
                  "\", which this version does not know; was it written by a newer one?",
              "UNKNOWN_VALUE");
}

/// Bytes of most records' JSON, a little more than less.
constexpr std::size_t kUsualJson = 768;

} // namespace

const char *const kStatuses[7] = {"provisioning", "running", "stopped", "sleeping", "failed", "deleting", nullptr};

const char *phaseName(Phase phase) noexcept {
  return kPhases[static_cast<std::size_t>(phase)];
}
const char *desiredName(Desired desired) noexcept {
  return kDesired[static_cast<std::size_t>(desired)];
}
const char *stepName(Step step) noexcept {
  return kSteps[static_cast<std::size_t>(step)];
}
Phase phaseOf(std::string_view name) {
  return fromName<Phase>(kPhases, name, "phase");
}
Desired desiredOf(std::string_view name) {
  return fromName<Desired>(kDesired, name, "desired state");
}
Step stepOf(std::string_view name) {
  return fromName<Step>(kSteps, name, "step");
}

const char *statusOf(const Instance &instance) noexcept {
  switch (instance.phase) {
  case Phase::Running:
    return "running";
  case Phase::Sleeping:
    return "sleeping";
  case Phase::Failed:
    return "failed";
  case Phase::Deleting:
    return "deleting";
  case Phase::Stopping:
  case Phase::Stopped:
    return "stopped";
  case Phase::Pending:
  case Phase::Provisioning:
  case Phase::Created:
  case Phase::Starting:
    return instance.onceRan() ? "stopped" : "provisioning";
  }
  return "failed";
}

std::string instanceJson(const Instance &instance, std::int64_t lastActive, std::uint64_t activitySeq,
                         const Progress *progress) {
  JsonArray endpoints;
  for (const Endpoint &endpoint : instance.endpoints) {
    JsonObject item;
    item.add("name", endpoint.name)
        .add("address", endpoint.address)
        .add("port", endpoint.port)
        .add("scope", endpoint.scope)
        .add("epoch", endpoint.epoch);
    endpoints.add(std::move(item).str());
  }
  JsonObject out(kUsualJson);
  out.add("handle", instance.handle)
      .add("clerkUserId", instance.clerkUserId)
      .add("containerId", instance.containerId)
      .add("port", instance.port)
      .add("shellPort", instance.shellPort)
      .add("status", statusOf(instance))
      .add("createdAt", formatTime(instance.createdAt))
      .add("lastActive", formatTime(lastActive))
      .add("id", instance.id)
      .add("rev", instance.rev)
      .add("generation", instance.generation)
      .add("phase", phaseName(instance.phase))
      .add("desired", desiredName(instance.desired))
      .add("runtime", instance.runtime)
      .add("image", instance.image)
      .add("imageDigest", instance.imageDigest)
      .add("lastError", instance.lastError)
      .add("activitySeq", activitySeq)
      .addRaw("endpoints", std::move(endpoints).str());
  if (instance.retryAt != 0) out.add("retryAt", formatTime(instance.retryAt));
  if (progress != nullptr) {
    JsonObject item;
    item.add("phase", progress->phase).add("current", progress->current).add("total", progress->total);
    out.addRaw("progress", std::move(item).str());
  }
  return std::move(out).str();
}

std::string deletedJson(std::string_view handle, std::string_view id, std::uint64_t rev) {
  JsonObject out;
  out.add("handle", handle).add("id", id).add("rev", rev).add("status", "deleted");
  return std::move(out).str();
}

} // namespace matrixos::orchestrator
