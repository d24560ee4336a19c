/// What is refused for its signature.
#pragma once

#include "Signature.h"

#include <matrixos/host.hpp>

#include <atomic>
#include <cstdint>
#include <string_view>

namespace matrixos::signup {

/// Counts all of it, and logs one a minute: anybody can make more. Any thread.
class Refusals {
public:
  explicit Refusals(const mos_host_v1 *host);

  /// What the sender is told; static texts.
  struct Told {
    const char *text, *reason;
  };
  /// `verdict`: not Good. `source`: "clerk", "inngest".
  Told note(Verdict verdict, std::string_view source, std::string_view requestId);

private:
  const Log log_;
  const Series refused_;
  std::atomic<std::int64_t> quietUntil_{0}; ///< on the clock of deadlines
};

/// matrixos_signup_deliveries_total with that result.
Series deliveries(const mos_host_v1 *host, std::string_view result);

} // namespace matrixos::signup
