#pragma once

#include "../SignInProvider.h"
#include "StrictJson.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace matrixos::identity {

/// What a token says, or a provider about a user, once it is known to come from the provider. All that throws throws
/// Error(Unauthenticated), "BAD_CLAIM" for a claim of a wrong type.
class Claims {
public:
  static constexpr std::size_t kMaxSubject = 255;

  explicit Claims(Json object) : object_(std::move(object)) {}

  bool has(const char *name) const { return object_.contains(name); }
  const Json &object() const noexcept { return object_; }
  /// Nothing when it is absent.
  std::optional<std::string> text(const char *name) const;
  /// `sub`: 1 to 255 bytes without control characters (OpenID Connect Core §2). Throws "NO_SUBJECT".
  std::string subject() const;
  /// One text, or a list of them, as `aud` may be.
  std::vector<std::string> texts(const char *name) const;
  /// `exp`, which has to be there, `nbf` and `iat` against the time. Throws "TOKEN_EXPIRED", "TOKEN_NOT_YET_VALID".
  void checkTimes(std::int64_t nowMs, std::chrono::seconds skew) const;

  /// Whom they are about. An address that is none stays away, as one with two @.
  ProviderUser user() const;

private:
  /// Seconds since 1970 (NumericDate, RFC 7519 §2). Nothing when it is absent.
  std::optional<double> time(const char *name) const;

  Json object_;
};

} // namespace matrixos::identity
