/// Takes an instance away and keeps its data aside.
#pragma once

#include "Instance.h"
#include "Operation.h"

namespace matrixos::orchestrator {

/// Commits the intent, then: stop, remove, data to the trash, row and ports out, tombstone in. Each step is safe to
/// repeat; what fails is taken up again by the reconciler or by the next DELETE.
class DestroyOperation : public Operation {
public:
  DestroyOperation(Workshop &workshop, std::string handle)
      : Operation(Kind::Destroy, std::move(handle)), shop_(workshop) {}

  State advance() override;

private:
  void removeContainer(const Instance &record);

  Workshop &shop_;
};

} // namespace matrixos::orchestrator
