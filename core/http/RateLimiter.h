#pragma once

#include "common/SipHash.h"
#include "http/Problem.h"
#include "http/RateTable.h"

#include <matrixos/address.hpp>
#include <matrixos/rate.hpp>

#include <http/engine/ClientExchange.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace matrixos::api {

/// What of the API's requests is limited.
enum class Limit : std::uint8_t {
  Address,   ///< all of a client address
  Principal, ///< all of a user, an operator's token or an instance
  Writes,    ///< what is no GET, HEAD or OPTIONS, of a principal, or of an address where nobody in particular asks
  SignIn,    ///< of a client address, to public routes below /auth
  Webhooks   ///< the same below /webhooks
};

inline constexpr std::array<std::string_view, 5> kLimitNames{"address", "principal", "writes", "sign_in", "webhooks"};

/// By Limit.
using LimitRates = std::array<Rate, kLimitNames.size()>;

/// A request as one of the limits counted it.
struct Charge {
  Limit limit;
  Rate rate;
  RateTable::Verdict verdict;

  std::string_view name() const noexcept { return kLimitNames[static_cast<std::size_t>(limit)]; }
  /// RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10): "writes";q=600;w=60 and
  /// "writes";r=599;t=1. Of a request that was refused, t is when the next may come, else when all of them may.
  http::FieldPairs fields() const;
  /// What a client is told that was refused: 429.
  Problem problem() const;
};

/// Counts requests. On the API's loop, but for the rates.
class RateLimiter {
public:
  explicit RateLimiter(const LimitRates &rates) { setRates(rates); }

  /// From now on. Any thread.
  void setRates(const LimitRates &rates);

  /// Nothing when there is no such limit.
  std::optional<Charge> charge(Limit limit, const Address::Bytes &client);
  std::optional<Charge> charge(Limit limit, std::string_view principal);

private:
  enum class Who : std::uint8_t { Client, Principal };
  std::optional<Charge> charge(Limit limit, Who kind, std::string_view who);

  std::array<std::atomic<Rate>, kLimitNames.size()> rates_{};
  const common::SipHash hash_;
  RateTable table_;
};

} // namespace matrixos::api
