/// matrixos/handle.hpp: the grammar of handles, the names of users and of their instances.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace matrixos {
inline namespace v1 {

constexpr std::size_t kMaxHandleLength = 32;

/// True for `[a-z0-9](-?[a-z0-9]){2,30}` of at most 32 characters that does not start with "xn--": what fits a DNS
/// label, a container name and a folder without quoting.
constexpr bool isHandle(std::string_view text) noexcept {
  if (text.size() > kMaxHandleLength) return false;
  std::size_t letters = 0;
  bool dash = true; // a dash may not come first
  for (const char c : text) {
    if (c == '-') {
      if (dash) return false;
      dash = true;
      continue;
    }
    if ((c < 'a' || c > 'z') && (c < '0' || c > '9')) return false;
    dash = false;
    ++letters;
  }
  return !dash && letters >= 3 && letters <= 31 && text.substr(0, 4) != "xn--";
}

/// Names that the platform keeps for itself: they would shadow a host of ours or mislead people.
inline bool isReservedHandle(std::string_view handle) noexcept {
  static constexpr std::array<std::string_view, 51> kReserved{
      "abuse",      "account",   "accounts",   "admin",        "administrator", "api",    "app",     "apps",
      "assets",     "auth",      "autoconfig", "autodiscover", "billing",       "blog",   "cdn",     "clerk",
      "console",    "dashboard", "dev",        "docs",         "email",         "ftp",    "gateway", "help",
      "hostmaster", "imap",      "info",       "internal",     "localhost",     "login",  "mail",    "matrixos",
      "metrics",    "platform",  "pop",        "postmaster",   "proxy",         "public", "root",    "security",
      "shell",      "signup",    "smtp",       "ssl",          "staging",       "static", "status",  "support",
      "system",     "webmaster", "www"};
  for (const std::string_view name : kReserved) {
    if (handle == name) return true;
  }
  return false;
}

} // namespace v1
} // namespace matrixos
