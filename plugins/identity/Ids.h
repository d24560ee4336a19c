#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

namespace matrixos::identity {

/// Characters of an id: 256 random bits in base64url without padding.
constexpr std::size_t kIdLength = 43;

/// A new id for a cookie, a code, a token. Throws Error(Unavailable) when the system has no randomness.
std::string makeId();
/// Whether it has the form of one.
bool isId(std::string_view text) noexcept;

/// What is kept of an id: its SHA-256.
struct Digest {
  std::array<unsigned char, 32> bytes{};

  /// Allocates nothing.
  static Digest of(std::string_view text) noexcept;
  /// Of what hex() gave; all zero for anything else.
  static Digest fromHex(std::string_view text) noexcept;
  std::string hex() const;
  /// base64url without padding.
  std::string text() const;

  bool operator==(const Digest &other) const noexcept = default;
};

/// As a key in memory: half of a digest, which nobody can aim at either. Its first bytes are as good a hash as any.
struct DigestKey {
  std::array<unsigned char, 16> bytes{};

  DigestKey() = default;
  DigestKey(const Digest &digest) noexcept { // NOLINT(google-explicit-constructor): it is the same to whoever looks up
    std::memcpy(bytes.data(), digest.bytes.data(), bytes.size());
  }
  bool operator==(const DigestKey &other) const noexcept = default;

  struct Hash {
    std::size_t operator()(const DigestKey &key) const noexcept {
      std::size_t out = 0;
      std::memcpy(&out, key.bytes.data(), sizeof out);
      return out;
    }
  };
};

} // namespace matrixos::identity
