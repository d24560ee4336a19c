#pragma once

#include <cstdint>
#include <string_view>

namespace matrixos::simulated {

/// Scatters a number over all 64 bits, one to one (the finalizer of SplitMix64, https://prng.di.unimi.it/splitmix64.c).
constexpr std::uint64_t scatter(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31U);
}

/// The n-th number of a stream: depends on nothing but its arguments, so that what happens beside it changes nothing.
constexpr std::uint64_t numberAt(std::uint64_t seed, std::uint64_t stream, std::uint64_t n) noexcept {
  return scatter(scatter(seed ^ scatter(stream)) + n);
}

/// The same as a fraction, 0 to just below 1.
constexpr double fractionAt(std::uint64_t seed, std::uint64_t stream, std::uint64_t n) noexcept {
  return static_cast<double>(numberAt(seed, stream, n) >> 11U) * 0x1p-53;
}

/// A hash that is the same in every build, unlike std::hash (FNV-1a).
constexpr std::uint64_t stableHash(std::string_view text) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return scatter(hash);
}

} // namespace matrixos::simulated
