/// Metrics of the gateway, but for what the ledger tells of itself. No label names a user, and models appear as one of
/// a few families.
#pragma once

#include "money/Money.h"
#include "money/TokenCounts.h"
#include "upstream/Endpoints.h"

#include <matrixos/host.hpp>

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::gateway {

/// How a request for an upstream ended.
enum class Outcome : std::uint8_t {
  Ok,
  Partial, ///< its cost is an estimate
  Error,   ///< the upstream answered with an error
  Unreached,
  Refused, ///< by us
};

/// [any-thread]
class Figures {
public:
  explicit Figures(const mos_host_v1 *host);

  void called(std::string_view model, Outcome outcome) const noexcept;
  void spent(std::string_view model, const TokenCounts &tokens, Money cost) const noexcept;
  void unknownModel() const noexcept { unknownModels_.add(); }
  /// The time that the gateway itself took before the call went out, in microseconds.
  void added(std::int64_t micros) const noexcept { added_.observe(static_cast<double>(micros) / 1e6); }
  /// How things stand. One call at a time.
  void standing(const std::vector<Endpoints::State> &endpoints, std::size_t connections);

private:
  static constexpr std::size_t kFamilies = 6;
  static constexpr std::size_t kOutcomes = 5;
  static constexpr std::size_t kKinds = 5;
  static std::size_t familyOf(std::string_view model) noexcept;

  Metrics metrics_;
  std::array<std::array<Series, kOutcomes>, kFamilies> calls_;
  std::array<std::array<Series, kKinds>, kFamilies> tokens_;
  std::array<Series, kFamilies> cost_;
  Series added_, connections_, unknownModels_;
  struct Upstream {
    Series open, openKeys, pauses;
  };
  std::map<std::string, Upstream> upstreams_; // by authority
};

} // namespace matrixos::gateway
