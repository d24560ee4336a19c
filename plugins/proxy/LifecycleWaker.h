/// LifecycleWaker.h: wakes instances through the lifecycle service.
#pragma once

#include "Waker.h"

#include <matrixos/lifecycle.hpp>

namespace matrixos::proxy {

class LifecycleWaker final : public Waker {
public:
  explicit LifecycleWaker(LifecycleClient lifecycle) : lifecycle_(lifecycle) {}

  std::uint64_t ensureRunning(std::string_view handle, std::string_view endpoint, std::chrono::milliseconds deadline,
                              Done done) override {
    const CallScope call(deadline);
    return lifecycle_.ensureRunning(call.abi(), handle, endpoint, [done = std::move(done)](const Outcome &outcome) {
      WakeResult result{outcome.status, std::string(outcome.json)};
      if (outcome.error != nullptr) {
        result.reason = outcome.error->reason();
        result.retryAfterMs = outcome.error->retryAfterMs();
        // Other causes may tell of the machine; this one is the instance's own.
        if (result.reason == "INSTANCE_ENDS") result.ended = outcome.error->what();
      }
      done(result);
    });
  }
  void forget(std::uint64_t ticket) noexcept override { lifecycle_.forget(ticket); }

private:
  LifecycleClient lifecycle_;
};

} // namespace matrixos::proxy
