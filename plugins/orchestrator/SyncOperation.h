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

/// Level-triggered: asks the engine afresh and writes down what it says. Whoever wants an instance to run is served by
/// a start, not by this.
class SyncOperation : public Operation {
public:
  SyncOperation(Workshop &workshop, std::string handle) : Operation(Kind::Sync, std::move(handle)), shop_(workshop) {}

  State advance() override;

private:
  void follow(const Instance &record, const Description *container);

  Workshop &shop_;
};

} // namespace matrixos::orchestrator
