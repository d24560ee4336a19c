#include "Figures.h"

namespace matrixos::gateway {

namespace {

constexpr std::array<std::string_view, 6> kFamilyNames{"fable", "mythos", "opus", "sonnet", "haiku", "other"};
constexpr std::array<std::string_view, 5> kOutcomeNames{"ok", "partial", "error", "unreached", "refused"};
constexpr std::array<std::string_view, 5> kKindNames{"input", "cache_read", "cache_write_5m", "cache_write_1h",
                                                     "output"};

} // namespace

Figures::Figures(const mos_host_v1 *host) : metrics_(host) {
  for (std::size_t family = 0; family < kFamilies; ++family) {
    const Label of{"family", kFamilyNames[family]};
    for (std::size_t outcome = 0; outcome < kOutcomes; ++outcome)
      calls_[family][outcome] =
          metrics_.counter("matrixos_ai_gateway_calls_total", "Requests for upstreams by how they ended.",
                           {of, {"outcome", kOutcomeNames[outcome]}});
    for (std::size_t kind = 0; kind < kKinds; ++kind)
      tokens_[family][kind] = metrics_.counter("matrixos_ai_gateway_tokens_total",
                                               "Tokens of calls that were paid for.", {of, {"kind", kKindNames[kind]}});
    cost_[family] = metrics_.counter("matrixos_ai_gateway_cost_usd_total", "What calls cost, in dollars.", {of});
  }
  added_ = metrics_.histogram("matrixos_ai_gateway_added_seconds",
                              "From the whole request of a caller until it goes on to an upstream.",
                              {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1});
  connections_ = metrics_.gauge("matrixos_ai_gateway_connections", "Open connections of callers.");
  unknownModels_ = metrics_.counter("matrixos_ai_gateway_unknown_models_total",
                                    "Calls of models that the prices do not know; they cost the dearest price.");
}

std::size_t Figures::familyOf(std::string_view model) noexcept {
  for (std::size_t family = 0; family + 1 < kFamilies; ++family)
    if (model.find(kFamilyNames[family]) != std::string_view::npos) return family;
  return kFamilies - 1;
}

void Figures::called(std::string_view model, Outcome outcome) const noexcept {
  calls_[familyOf(model)][static_cast<std::size_t>(outcome)].add();
}

void Figures::spent(std::string_view model, const TokenCounts &tokens, Money cost) const noexcept {
  const std::size_t family = familyOf(model);
  const std::array<std::uint32_t, kKinds> counts{tokens.input, tokens.cacheRead, tokens.cacheWrite5m,
                                                 tokens.cacheWrite1h, tokens.output};
  for (std::size_t kind = 0; kind < kKinds; ++kind)
    if (counts[kind] != 0) tokens_[family][kind].add(counts[kind]);
  cost_[family].add(static_cast<double>(cost.pico()) / 1e12);
}

void Figures::standing(const std::vector<Endpoints::State> &endpoints, std::size_t connections) {
  connections_.set(static_cast<double>(connections));
  for (const auto &[authority, series] : upstreams_) {
    series.open.set(0);
    series.openKeys.set(0);
    series.pauses.set(0);
  }
  for (const Endpoints::State &state : endpoints) {
    auto found = upstreams_.find(state.authority);
    if (found == upstreams_.end()) {
      const Label of{"upstream", state.authority};
      found = upstreams_
                  .emplace(state.authority,
                           Upstream{metrics_.gauge("matrixos_ai_gateway_upstream_open",
                                                   "1: no calls go to the server for now.", {of}),
                                    metrics_.gauge("matrixos_ai_gateway_upstream_open_keys",
                                                   "Keys that are not used there for now.", {of}),
                                    metrics_.gauge("matrixos_ai_gateway_upstream_pauses",
                                                   "Keys that are not used there for one model for now.", {of})})
                  .first;
    }
    found->second.open.set(state.open ? 1 : 0);
    found->second.openKeys.set(static_cast<double>(state.openKeys));
    found->second.pauses.set(static_cast<double>(state.pauses));
  }
}

} // namespace matrixos::gateway
