#pragma once

#include <span>
#include <string>
#include <string_view>

namespace matrixos::config {

/// An absolute URL (RFC 3986) that can mean one thing only: host as name, IPv4 or [IPv6] address, perhaps port, path
/// and query; neither credentials nor fragment, and no dot segments.
struct UrlValue {
  static constexpr std::size_t kLongest = 2048;

  /// Scheme and host in lower case, without a port that the scheme implies; path and query as they were written.
  std::string text;
  /// Why it is none, as half a sentence: "it names no host". Empty when it is one.
  std::string problem;
  /// It holds a user name, perhaps a password, so nobody may print it.
  bool hasCredentials = false;

  /// `schemes`: those that are allowed, in lower case.
  static UrlValue parse(std::string_view text, std::span<const std::string> schemes);
};

/// [a-z][a-z0-9+.-]*: a scheme in its canonical form (RFC 3986 §3.1).
bool isScheme(std::string_view text) noexcept;

} // namespace matrixos::config
