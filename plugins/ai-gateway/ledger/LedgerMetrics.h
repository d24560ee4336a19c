#pragma once

#include "../money/Money.h"

#include <matrixos/host.hpp>

#include <array>
#include <cstdint>

namespace matrixos::gateway {

/// What the ledger's figures look like from outside. Of one thread.
class LedgerMetrics {
public:
  explicit LedgerMetrics(const mos_host_v1 *host);

  /// How it stands: so many refusals since the start by Refused::By, calls in flight, what they hold, calls without a
  /// row.
  void stands(const std::array<std::uint64_t, 5> &refused, std::uint64_t held, Money heldMoney,
              std::uint64_t unwritten) noexcept;

private:
  const std::array<Series, 5> refused_;
  const Series inFlight_, held_, unwritten_;
  std::array<std::uint64_t, 5> told_{};
};

} // namespace matrixos::gateway
