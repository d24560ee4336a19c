/// LifecycleWaker.h: wakes instances through the lifecycle service.
#pragma once

#include "Waker.h"

#include <matrixos/lifecycle.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

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
        result.ended = endOf(outcome.error->what());
      }
      done(result);
    });
  }
  void forget(std::uint64_t ticket) noexcept override { lifecycle_.forget(ticket); }

private:
  /// "its program ended with exit code 3". The message itself may tell of the machine, or quote the program's last
  /// words.
  static std::string endOf(std::string_view message) {
    constexpr std::string_view kWords = "exit code ";
    const std::size_t at = message.find(kWords);
    if (at == std::string_view::npos) return {};
    const std::string_view code = message.substr(at + kWords.size());
    const std::size_t digits = std::min(code.find_first_not_of("0123456789"), code.size());
    if (digits == 0) return {};
    const bool memory = message.find("out of memory", at) != std::string_view::npos;
    return "its program ended with exit code " + std::string(code.substr(0, digits)) +
           (memory ? ", out of memory" : "");
  }

  LifecycleClient lifecycle_;
};

} // namespace matrixos::proxy
