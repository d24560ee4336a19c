/// How much one user may ask for at a time, and in a minute.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace matrixos::gateway {

/// 0: any number.
struct RateSettings {
  std::uint64_t requestsPerMinute = 0;
  std::uint64_t tokensPerMinute = 0;
  std::uint64_t concurrent = 0;

  bool any() const noexcept { return requestsPerMinute != 0 || tokensPerMinute != 0 || concurrent != 0; }
};

/// Per user, over all loops. A minute's worth may be used at once, and comes back evenly. Times are of one clock that
/// never goes back, in milliseconds. Thread-safe; it outlives its places.
class RateLimits {
public:
  /// One of the requests that a user has under way; ends with the object.
  class Place {
  public:
    Place() = default;
    Place(RateLimits &limits, std::string user) : limits_(&limits), user_(std::move(user)) {}
    Place(Place &&other) noexcept : limits_(std::exchange(other.limits_, nullptr)), user_(std::move(other.user_)) {}
    Place &operator=(Place &&other) noexcept {
      std::swap(limits_, other.limits_);
      std::swap(user_, other.user_);
      return *this;
    }
    ~Place() {
      if (limits_ != nullptr) limits_->leave(user_);
    }

  private:
    RateLimits *limits_ = nullptr;
    std::string user_;
  };

  enum class Limit : std::uint8_t { None, Requests, Tokens, Concurrent };
  struct Answer {
    Limit limit = Limit::None; ///< which one refuses
    std::int64_t waitMs = 0;   ///< until it would not; 0 for Concurrent: nobody knows
    Place place{};             ///< if none refuses
  };

  /// Live; what was used stays used.
  void use(const RateSettings &settings);

  /// A request of the user's begins.
  Answer enter(const std::string &user, std::int64_t nowMs);
  /// It may take so many tokens. More than a minute's worth counts as that.
  Answer takeTokens(const std::string &user, std::uint64_t tokens, std::int64_t nowMs);
  /// It took so many instead of those that were taken.
  void correctTokens(const std::string &user, std::uint64_t taken, std::uint64_t tokens, std::int64_t nowMs);

  /// What is left in this minute.
  struct Left {
    std::uint64_t requests = 0;
    std::uint64_t tokens = 0;
  };
  Left left(const std::string &user, std::int64_t nowMs) const;

private:
  /// What was used and has not come back yet.
  struct Bucket {
    double used = 0;
    std::int64_t atMs = 0;
    void settle(double perMinute, std::int64_t nowMs) noexcept;
  };
  struct User {
    Bucket requests;
    Bucket tokens;
    std::uint64_t running = 0;
  };

  void leave(const std::string &user) noexcept;
  void sweep(std::int64_t nowMs);

  mutable std::mutex mutex_;
  RateSettings settings_;
  std::unordered_map<std::string, User> users_;
  std::size_t sweepAt_ = 1024;
};

} // namespace matrixos::gateway
