/// http/codec/Bearer.h: what an Authorization field holds, read in one way by those who take it and those who hide it.
#pragma once

#include "Grammar.h"

#include <string_view>

namespace matrixos::http {

/// Begins every API token of the platform's.
inline constexpr std::string_view kApiTokenPrefix = "mxo_";
/// Begins every token that stands for somebody who is signed in.
inline constexpr std::string_view kUserTokenPrefix = "mxu_";
/// Begins every token by which an instance says that it is itself.
inline constexpr std::string_view kInstanceTokenPrefix = "mxi_";

/// The token in "Bearer <token>" (RFC 6750 §2.1), the scheme in any case, with any spaces and tabs around the token;
/// empty for any other value.
inline std::string_view bearerToken(std::string_view authorization) noexcept {
  constexpr std::string_view kScheme = "bearer";
  const std::string_view value = trim(authorization);
  if (!sameAsLower(value.substr(0, kScheme.size()), kScheme)) return {};
  const std::string_view rest = value.substr(kScheme.size());
  const std::string_view token = trim(rest);
  return token.size() < rest.size() ? token : std::string_view();
}

/// The same for a token of the platform's that begins so, good or not; empty for what is none.
inline std::string_view tokenWith(std::string_view prefix, std::string_view authorization) noexcept {
  const std::string_view token = bearerToken(authorization);
  return token.starts_with(prefix) ? token : std::string_view();
}
inline std::string_view apiToken(std::string_view authorization) noexcept {
  return tokenWith(kApiTokenPrefix, authorization);
}
inline std::string_view userToken(std::string_view authorization) noexcept {
  return tokenWith(kUserTokenPrefix, authorization);
}

/// Whether a credential is an instance's token, good or not.
inline bool isInstanceToken(std::string_view token) noexcept {
  return token.starts_with(kInstanceTokenPrefix);
}

/// Whether it holds a token of the platform's, of any kind, good or not: no instance may see it.
inline bool hasPlatformToken(std::string_view authorization) noexcept {
  const std::string_view token = bearerToken(authorization);
  return token.starts_with(kApiTokenPrefix) || token.starts_with(kUserTokenPrefix) || isInstanceToken(token);
}

} // namespace matrixos::http
