#include "LedgerMetrics.h"

#include <cstddef>

namespace matrixos::gateway {

namespace {

double dollars(Money amount) noexcept {
  return static_cast<double>(amount.pico()) / 1e12;
}

constexpr const char *kCalls = "matrixos_ai_gateway_calls_total";
constexpr const char *kCallsHelp = "Calls that were settled; partial: their usage is estimated.";

Series tokens(const Metrics &metrics, const char *kind) {
  return metrics.counter("matrixos_ai_gateway_tokens_total", "Tokens of settled calls; web_search: requests.",
                         {{"kind", kind}});
}

Series refused(const Metrics &metrics, const char *by) {
  return metrics.counter("matrixos_ai_gateway_refused_total",
                         "Calls that a limit refused, or that could not be written down (journal).", {{"by", by}});
}

} // namespace

LedgerMetrics::LedgerMetrics(const mos_host_v1 *host)
    : whole_(Metrics(host).counter(kCalls, kCallsHelp, {{"partial", "false"}})),
      partial_(Metrics(host).counter(kCalls, kCallsHelp, {{"partial", "true"}})),
      cost_(Metrics(host).counter("matrixos_ai_gateway_cost_usd_total", "What settled calls cost.")),
      tokens_{tokens(Metrics(host), "input"),          tokens(Metrics(host), "output"),
              tokens(Metrics(host), "cache_read"),     tokens(Metrics(host), "cache_write_5m"),
              tokens(Metrics(host), "cache_write_1h"), tokens(Metrics(host), "web_search")},
      refused_{refused(Metrics(host), "user_day"), refused(Metrics(host), "user_month"),
               refused(Metrics(host), "global_day"), refused(Metrics(host), "global_month"),
               refused(Metrics(host), "journal")},
      inFlight_(Metrics(host).gauge("matrixos_ai_gateway_held_calls", "Calls in flight.")),
      held_(Metrics(host).gauge("matrixos_ai_gateway_held_usd", "What is held for calls in flight.")),
      unwritten_(Metrics(host).gauge("matrixos_ai_gateway_unwritten_calls", "Settled calls without a row yet.")) {}

void LedgerMetrics::wrote(std::span<const Record> records) const noexcept {
  double cost = 0;
  std::uint64_t partial = 0;
  std::array<std::uint64_t, 6> sums{};
  for (const Record &record : records) {
    const TokenCounts &counts = record.tokens;
    const std::array<std::uint32_t, 6> each{counts.input,        counts.output,       counts.cacheRead,
                                            counts.cacheWrite5m, counts.cacheWrite1h, counts.webSearches};
    for (std::size_t i = 0; i < each.size(); ++i)
      sums[i] += each[i];
    cost += dollars(record.cost);
    partial += record.partial ? 1 : 0;
  }
  whole_.add(static_cast<double>(records.size() - partial));
  partial_.add(static_cast<double>(partial));
  cost_.add(cost);
  for (std::size_t i = 0; i < sums.size(); ++i)
    tokens_[i].add(static_cast<double>(sums[i]));
}

void LedgerMetrics::stands(const std::array<std::uint64_t, 5> &refused, std::uint64_t held, Money heldMoney,
                           std::uint64_t unwritten) noexcept {
  for (std::size_t i = 0; i < refused.size(); ++i)
    refused_[i].add(static_cast<double>(refused[i] - told_[i]));
  told_ = refused;
  inFlight_.set(static_cast<double>(held));
  held_.set(dollars(heldMoney));
  unwritten_.set(static_cast<double>(unwritten));
}

} // namespace matrixos::gateway
