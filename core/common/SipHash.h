#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace matrixos::common {

/// SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF"): who does not know the key can choose no texts
/// that fall together.
class SipHash {
public:
  /// A random key. Throws Error(Internal) when the kernel gives none.
  SipHash();
  SipHash(std::uint64_t key0, std::uint64_t key1) noexcept : key_{key0, key1} {}

  std::uint64_t operator()(std::string_view text) const noexcept;

private:
  std::array<std::uint64_t, 2> key_;
};

} // namespace matrixos::common
