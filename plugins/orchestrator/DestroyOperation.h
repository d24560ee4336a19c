/// Takes an instance away and keeps its data aside.
#pragma once

#include "Instance.h"
#include "Operation.h"

namespace matrixos::orchestrator {

/// Commits the intent, then: stop, remove, data to the trash, row and ports out, tombstone in. Each step is safe to
/// repeat; what fails is taken up again by the reconciler or by the next DELETE.
class DestroyOperation : public Operation {
public:
  /// `seen`: the record as the caller saw it, perhaps null. When it is gone by the time of its turn, all is well.
  DestroyOperation(Workshop &workshop, std::string handle, InstancePtr seen)
      : Operation(Kind::Destroy, std::move(handle)), shop_(workshop), seen_(std::move(seen)) {}

  State advance() override;

private:
  Workshop &shop_;
  InstancePtr seen_;
};

} // namespace matrixos::orchestrator
