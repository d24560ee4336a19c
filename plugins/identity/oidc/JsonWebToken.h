#pragma once

#include "StrictJson.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace matrixos::identity {

class PublicKey;

/// A signed JSON Web Token in compact form (RFC 7515 §7.1, RFC 7519), taken apart. Its header is a stranger's word that
/// helps to find a key; what it claims is not to be had without one. Keys that a header carries or points to (`jwk`,
/// `jku`, `x5c`, `x5u`) are never looked at.
class JsonWebToken {
public:
  static constexpr std::size_t kMaxSize = 16 * 1024;
  static constexpr std::size_t kMaxKid = 256;

  /// Throws Error(Unauthenticated, "MALFORMED_TOKEN"), and "CRITICAL_HEADER" for one that wants more to be understood
  /// than we do (`crit`, RFC 7515 §4.1.11).
  static JsonWebToken parse(std::string_view text);

  const std::string &algorithm() const noexcept { return algorithm_; }
  /// An opaque name, nothing else.
  const std::optional<std::string> &kid() const noexcept { return kid_; }
  /// A text in the header; nothing when it is absent. Throws "MALFORMED_TOKEN" when it is something else.
  std::optional<std::string> headerText(const char *name) const;
  /// What it claims, once this key has verified its signature. Throws Error(Unauthenticated): "WRONG_ALGORITHM" when
  /// the header names another algorithm than the key's, "BAD_SIGNATURE", "MALFORMED_TOKEN".
  Json claims(const PublicKey &key) const;

private:
  JsonWebToken() = default;

  Json header_;
  std::string algorithm_;
  std::optional<std::string> kid_;
  std::string signed_; ///< header and payload with the dot between them
  std::size_t payloadAt_ = 0;
  std::string signature_;
};

} // namespace matrixos::identity
