/// http/codec/PlatformCookie.h: the cookies of the platform's own, known alike to who sets them and who hides them.
#pragma once

#include "Grammar.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

namespace matrixos::http {

enum class PlatformCookie : std::size_t {
  Session, ///< of the console's host
  App,     ///< of an instance's host
  Nonce,   ///< of an instance's host, set before its visitor is sent to sign in
  SignIn   ///< of the console's host, set before its visitor is sent to the provider
};

/// Keeps other hosts from setting them (RFC 6265bis §4.1.3.2).
inline constexpr std::string_view kHostPrefix = "__Host-";

/// `plain`: on *.localhost over http, where browsers take no cookie with that prefix.
constexpr std::string_view nameOf(PlatformCookie cookie, bool plain) noexcept {
  constexpr std::array<std::string_view, 4> kNames{"__Host-matrixos", "__Host-matrixos-app", "__Host-matrixos-nonce",
                                                   "__Host-matrixos-signin"};
  return kNames[static_cast<std::size_t>(cookie)].substr(plain ? kHostPrefix.size() : 0);
}

/// Whether a cookie of that name is the platform's, in any case, as browsers compare prefixes. With the prefix all
/// names that begin like ours are.
inline bool isPlatformCookie(std::string_view name) noexcept {
  constexpr std::string_view kAll = nameOf(PlatformCookie::Session, false);
  if (sameText(name.substr(0, kAll.size()), kAll)) return true;
  constexpr std::array kCookies{PlatformCookie::Session, PlatformCookie::App, PlatformCookie::Nonce,
                                PlatformCookie::SignIn};
  return std::any_of(kCookies.begin(), kCookies.end(),
                     [&](PlatformCookie cookie) { return sameText(name, nameOf(cookie, true)); });
}

} // namespace matrixos::http
