/// Policy.h: the policy stage, who may pass.
#pragma once

#include "Router.h"

#include <edge/Head.h>

#include <functional>

namespace matrixos::proxy {

enum class Verdict { Allow, Deny, Pending };

/// Decides on each request between routing and waking. Called on a loop's thread; must not block.
class Policy {
public:
  virtual ~Policy() = default;
  /// After Pending, `later` is called once, on any thread, with Allow or Deny. `head` is borrowed for the call.
  virtual Verdict check(const edge::RequestHead &head, const Decision &decision,
                        std::function<void(Verdict)> later) = 0;
};

/// Lets everybody pass.
class AllowAll final : public Policy {
public:
  Verdict check(const edge::RequestHead &, const Decision &, std::function<void(Verdict)>) override {
    return Verdict::Allow;
  }
};

} // namespace matrixos::proxy
