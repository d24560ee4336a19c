#include "http/RateLimiter.h"

#include <chrono>

namespace matrixos::api {

namespace {

std::int64_t wholeSeconds(std::chrono::nanoseconds time) {
  return std::chrono::ceil<std::chrono::seconds>(time).count();
}

const char *sentenceOf(Limit limit) {
  switch (limit) {
  case Limit::Address:
    return "too many requests from this address";
  case Limit::Principal:
    return "too many requests by you";
  case Limit::Writes:
    return "too many changes";
  case Limit::SignIn:
    return "too many requests to sign in from this address";
  case Limit::Webhooks:
    break;
  }
  return "too many webhooks from this address";
}

} // namespace

http::FieldPairs Charge::fields() const {
  const std::string start = "\"" + std::string(name()) + "\";";
  const auto time = verdict.allowed ? verdict.reset : verdict.wait;
  return {{"RateLimit-Policy", start + "q=" + std::to_string(rate.count) +
                                   ";w=" + std::to_string(wholeSeconds(std::chrono::milliseconds(rate.periodMs)))},
          {"RateLimit", start + "r=" + std::to_string(verdict.left) + ";t=" + std::to_string(wholeSeconds(time))}};
}

Problem Charge::problem() const {
  const std::int64_t seconds = wholeSeconds(verdict.wait);
  return {429,
          std::string(sentenceOf(limit)) + ": at most " + std::to_string(rate.count) + " in " +
              std::to_string(wholeSeconds(std::chrono::milliseconds(rate.periodMs))) + " s; try again in " +
              std::to_string(seconds) + " s",
          "RATE_LIMITED", seconds * 1000};
}

void RateLimiter::setRates(const LimitRates &rates) {
  for (std::size_t i = 0; i < rates.size(); ++i)
    rates_[i] = rates[i];
}

std::optional<Charge> RateLimiter::charge(Limit limit, const Address::Bytes &client) {
  return charge(limit, Who::Client, {reinterpret_cast<const char *>(client.data()), client.size()});
}

std::optional<Charge> RateLimiter::charge(Limit limit, std::string_view principal) {
  return charge(limit, Who::Principal, principal);
}

std::optional<Charge> RateLimiter::charge(Limit limit, Who kind, std::string_view who) {
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15ULL; // sets buckets of one client or principal apart
  const Rate rate = rates_[static_cast<std::size_t>(limit)];
  if (!rate.isLimit()) return std::nullopt;
  const std::uint64_t which = 2 * static_cast<std::uint64_t>(limit) + static_cast<std::uint64_t>(kind);
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return Charge{limit, rate, table_.take(hash_(who) + kOdd * which, rate, now)};
}

} // namespace matrixos::api
