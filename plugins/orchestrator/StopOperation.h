/// Puts an instance to rest.
#pragma once

#include "InstanceTable.h"
#include "Operation.h"

#include <cstdint>
#include <string>

namespace matrixos::orchestrator {

/// Stops the container and keeps it. With an expected activity sequence the instance is only stopped while nobody has
/// used it since: the sequence is compared before the intent is committed and once more before the engine is asked,
/// and a start that waits behind wins too.
class StopOperation : public Operation {
public:
  static constexpr std::uint64_t kAlways = UINT64_MAX;

  StopOperation(Workshop &workshop, std::string handle, std::uint64_t ifActivitySeq, std::string reason)
      : Operation(Kind::Stop, std::move(handle)), shop_(workshop), ifActivitySeq_(ifActivitySeq),
        reason_(std::move(reason)) {}

  State advance() override;
  bool serves(const Operation &other) const override;

private:
  bool usedSince() const;
  [[noreturn]] void refuse() const;
  Published commit(Phase phase);

  Workshop &shop_;
  std::uint64_t ifActivitySeq_;
  std::string reason_;
  InstancePtr record_;
};

} // namespace matrixos::orchestrator
