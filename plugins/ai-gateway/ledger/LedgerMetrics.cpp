#include "LedgerMetrics.h"

#include <cstddef>

namespace matrixos::gateway {

namespace {

Series refused(const Metrics &metrics, const char *by) {
  return metrics.counter("matrixos_ai_gateway_refused_total",
                         "Calls that a limit refused, or that could not be written down (journal).", {{"by", by}});
}

} // namespace

LedgerMetrics::LedgerMetrics(const mos_host_v1 *host)
    : refused_{refused(Metrics(host), "user_day"), refused(Metrics(host), "user_month"),
               refused(Metrics(host), "global_day"), refused(Metrics(host), "global_month"),
               refused(Metrics(host), "journal")},
      inFlight_(Metrics(host).gauge("matrixos_ai_gateway_held_calls", "Calls in flight.")),
      held_(Metrics(host).gauge("matrixos_ai_gateway_held_usd", "Held for calls in flight, in dollars.")),
      unwritten_(Metrics(host).gauge("matrixos_ai_gateway_unwritten_calls", "Settled calls without a row yet.")) {}

void LedgerMetrics::stands(const std::array<std::uint64_t, 5> &refused, std::uint64_t held, Money heldMoney,
                           std::uint64_t unwritten) noexcept {
  for (std::size_t i = 0; i < refused.size(); ++i)
    refused_[i].add(static_cast<double>(refused[i] - told_[i]));
  told_ = refused;
  inFlight_.set(static_cast<double>(held));
  held_.set(static_cast<double>(heldMoney.pico()) / 1e12);
  unwritten_.set(static_cast<double>(unwritten));
}

} // namespace matrixos::gateway
