#include "Container.h"

#include "Random.h"

#include <matrixos/text/hex.hpp>

namespace matrixos::simulated {

namespace {

constexpr std::string_view kPrefix = "sim";
constexpr std::size_t kDigits = 12;
constexpr std::uint64_t kHalf = (1U << 24U) - 1;
constexpr int kRounds = 4;

/// Four Feistel rounds over two halves of 24 bits: a permutation of 48 bits that runs backwards as well.
std::uint64_t shuffle(std::uint64_t seed, std::uint64_t value) noexcept {
  std::uint64_t left = value >> 24U, right = value & kHalf;
  for (int round = 0; round < kRounds; ++round) {
    const std::uint64_t next = left ^ (scatter(seed + static_cast<unsigned>(round) + (right << 8U)) & kHalf);
    left = right;
    right = next;
  }
  return (left << 24U) | right;
}

std::uint64_t unshuffle(std::uint64_t seed, std::uint64_t value) noexcept {
  std::uint64_t left = value >> 24U, right = value & kHalf;
  for (int round = kRounds - 1; round >= 0; --round) {
    const std::uint64_t before = right ^ (scatter(seed + static_cast<unsigned>(round) + (left << 8U)) & kHalf);
    right = left;
    left = before;
  }
  return (left << 24U) | right;
}

} // namespace

std::string refOf(std::uint64_t seed, std::uint64_t serial) {
  std::string ref(kPrefix);
  appendHex(ref, shuffle(scatter(seed), serial), kDigits);
  return ref;
}

std::optional<std::uint64_t> serialOf(std::uint64_t seed, std::string_view ref) noexcept {
  if (ref.size() != kPrefix.size() + kDigits || ref.substr(0, kPrefix.size()) != kPrefix) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : ref.substr(kPrefix.size())) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'a' || c > 'f')) return std::nullopt;
    value = (value << 4U) | static_cast<std::uint64_t>(digit ? c - '0' : c - 'a' + 10);
  }
  return unshuffle(scatter(seed), value);
}

} // namespace matrixos::simulated
