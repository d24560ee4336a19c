/// Policy.h: the policy stage, who may pass.
#pragma once

#include "HostRouter.h"

#include <http/codec/Head.h>

#include <functional>

namespace matrixos::proxy {

enum class PolicyVerdict { Allow, Deny, Pending };

/// A request that waits for its verdict.
class Later {
public:
  /// The function that brings the verdict: Allow or Deny, once, on any thread. To be asked for once, and only by who
  /// answers Pending.
  virtual std::function<void(PolicyVerdict)> promise() = 0;

protected:
  ~Later() = default;
};

/// Decides on each request between routing and waking, also for handles that nobody has: a refusal tells neither.
/// Called on a loop's thread; must not block.
class Policy {
public:
  virtual ~Policy() = default;
  /// The arguments are borrowed for the call.
  virtual PolicyVerdict check(const http::RequestHead &head, const RoutingDecision &decision, Later &later) = 0;
};

/// Lets everybody pass.
class AllowAll final : public Policy {
public:
  PolicyVerdict check(const http::RequestHead &, const RoutingDecision &, Later &) override {
    return PolicyVerdict::Allow;
  }
};

} // namespace matrixos::proxy
