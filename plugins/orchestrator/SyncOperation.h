/// Brings a record in line with what the engine says.
#pragma once

#include "Engine.h"
#include "Instance.h"
#include "Operation.h"

#include <optional>

namespace matrixos::orchestrator {

/// The phase that a settled record should have, given what the engine says of its container (null: it has none).
Phase observedPhase(const Description *container);
/// True when the record claims something else than the engine; only for Running, Sleeping, Stopped and Failed.
bool disagrees(const Instance &record, const Description *container, const std::string &installId);
/// True when the record agrees with the engine but for the endpoints of a running container.
bool lacksEndpoints(const Instance &record, const Description &container, const std::string &installId);

/// Asks the engine afresh and records what it says; it starts nothing, a start does that.
/// Endpoints are not stored, and may come from a listing instead: if the record has not changed since that listing
/// began, they are taken from it and the engine is not asked again.
class SyncOperation : public Operation {
public:
  SyncOperation(Workshop &workshop, std::string handle) : Operation(Kind::Sync, std::move(handle)), shop_(workshop) {}
  SyncOperation(Workshop &workshop, const Instance &asListed, std::vector<Endpoint> endpoints)
      : Operation(Kind::Sync, asListed.handle), shop_(workshop), listedRev_(asListed.rev),
        listedEndpoints_(std::move(endpoints)) {}

  State advance() override;

private:
  void follow(const Instance &record, const Description *container);

  Workshop &shop_;
  std::uint64_t listedRev_ = 0; ///< 0: nothing was brought along
  std::vector<Endpoint> listedEndpoints_;
};

} // namespace matrixos::orchestrator
