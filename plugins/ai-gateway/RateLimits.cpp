#include "RateLimits.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace matrixos::gateway {

namespace {

constexpr double kMinuteMs = 60'000;

std::int64_t waitOf(double excess, std::uint64_t perMinute) {
  return static_cast<std::int64_t>(std::ceil(excess * kMinuteMs / static_cast<double>(perMinute)));
}

} // namespace

void RateLimits::Bucket::settle(double perMinute, std::int64_t nowMs) noexcept {
  const auto passed = static_cast<double>(std::max<std::int64_t>(0, nowMs - atMs));
  used = std::max(0.0, used - passed * perMinute / kMinuteMs);
  atMs = nowMs;
}

void RateLimits::use(const RateSettings &settings) {
  const std::lock_guard lock(mutex_);
  settings_ = settings;
}

RateLimits::Answer RateLimits::enter(const std::string &user, std::int64_t nowMs) {
  const std::lock_guard lock(mutex_);
  if (!settings_.any()) return {};
  if (users_.size() >= sweepAt_) sweep(nowMs);
  User &of = users_[user];
  if (settings_.concurrent != 0 && of.running >= settings_.concurrent) return {Limit::Concurrent, 0};
  if (settings_.requestsPerMinute != 0) {
    const auto most = static_cast<double>(settings_.requestsPerMinute);
    of.requests.settle(most, nowMs);
    if (of.requests.used + 1 > most)
      return {Limit::Requests, waitOf(of.requests.used + 1 - most, settings_.requestsPerMinute)};
    of.requests.used += 1;
  }
  ++of.running;
  return {Limit::None, 0, Place(*this, user)};
}

RateLimits::Answer RateLimits::takeTokens(const std::string &user, std::uint64_t tokens, std::int64_t nowMs) {
  const std::lock_guard lock(mutex_);
  if (settings_.tokensPerMinute == 0) return {};
  Bucket &bucket = users_[user].tokens;
  const auto most = static_cast<double>(settings_.tokensPerMinute);
  const double wanted = std::min(static_cast<double>(tokens), most);
  bucket.settle(most, nowMs);
  if (bucket.used + wanted > most)
    return {Limit::Tokens, waitOf(bucket.used + wanted - most, settings_.tokensPerMinute)};
  bucket.used += wanted;
  return {};
}

void RateLimits::correctTokens(const std::string &user, std::uint64_t taken, std::uint64_t tokens, std::int64_t nowMs) {
  const std::lock_guard lock(mutex_);
  const auto found = users_.find(user);
  if (settings_.tokensPerMinute == 0 || found == users_.end()) return;
  const auto most = static_cast<double>(settings_.tokensPerMinute);
  Bucket &bucket = found->second.tokens;
  bucket.settle(most, nowMs);
  bucket.used = std::max(0.0, bucket.used + static_cast<double>(tokens) - std::min(static_cast<double>(taken), most));
}

RateLimits::Left RateLimits::left(const std::string &user, std::int64_t nowMs) const {
  const std::lock_guard lock(mutex_);
  const auto found = users_.find(user);
  const auto leftOf = [&](Bucket bucket, std::uint64_t perMinute) {
    bucket.settle(static_cast<double>(perMinute), nowMs);
    return static_cast<std::uint64_t>(std::max(0.0, static_cast<double>(perMinute) - bucket.used));
  };
  if (found == users_.end()) return {settings_.requestsPerMinute, settings_.tokensPerMinute};
  return {leftOf(found->second.requests, settings_.requestsPerMinute),
          leftOf(found->second.tokens, settings_.tokensPerMinute)};
}

void RateLimits::leave(const std::string &user) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = users_.find(user);
  if (found != users_.end() && found->second.running > 0) --found->second.running;
}

/// Who has nothing under way and everything left need not be remembered.
void RateLimits::sweep(std::int64_t nowMs) {
  for (auto at = users_.begin(); at != users_.end();) {
    User &user = at->second;
    user.requests.settle(static_cast<double>(settings_.requestsPerMinute), nowMs);
    user.tokens.settle(static_cast<double>(settings_.tokensPerMinute), nowMs);
    const bool idle = user.running == 0 && user.requests.used == 0 && user.tokens.used == 0;
    at = idle ? users_.erase(at) : std::next(at);
  }
  sweepAt_ = std::max<std::size_t>(1024, users_.size() * 2);
}

} // namespace matrixos::gateway
