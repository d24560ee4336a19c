/// An amount of US dollars.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>

namespace matrixos::gateway {

/// Whole pico-dollars (10⁻¹² USD), so that every price per token is exact. Sums and products saturate at about nine
/// million dollars either way: a count that an upstream lies about must not turn into credit.
class Money {
public:
  constexpr Money() = default;
  static constexpr Money ofPico(std::int64_t pico) noexcept { return Money(pico); }

  constexpr std::int64_t pico() const noexcept { return pico_; }
  constexpr auto operator<=>(const Money &) const = default;

  constexpr Money operator+(Money other) const noexcept {
    std::int64_t sum = 0;
    if (!__builtin_add_overflow(pico_, other.pico_, &sum)) return Money(sum);
    return Money(other.pico_ < 0 ? kLeast : kMost);
  }
  constexpr Money operator-(Money other) const noexcept {
    std::int64_t difference = 0;
    if (!__builtin_sub_overflow(pico_, other.pico_, &difference)) return Money(difference);
    return Money(other.pico_ < 0 ? kMost : kLeast);
  }
  constexpr Money operator*(std::uint64_t count) const noexcept {
    std::int64_t product = 0;
    if (!__builtin_mul_overflow(pico_, count, &product)) return Money(product);
    return Money(pico_ < 0 ? kLeast : kMost);
  }
  /// Times a factor in millionths, rounded up to a whole pico-dollar.
  constexpr Money scaled(std::uint64_t millionths) const noexcept {
    __int128 product = static_cast<__int128>(pico_) * static_cast<__int128>(millionths);
    if (product > 0) product += 999'999;
    product /= 1'000'000;
    if (product > kMost) return Money(kMost);
    return Money(product < kLeast ? kLeast : static_cast<std::int64_t>(product));
  }
  constexpr Money &operator+=(Money other) noexcept { return *this = *this + other; }
  constexpr Money &operator-=(Money other) noexcept { return *this = *this - other; }

private:
  static constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  static constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  explicit constexpr Money(std::int64_t pico) noexcept : pico_(pico) {}

  std::int64_t pico_ = 0;
};

} // namespace matrixos::gateway
