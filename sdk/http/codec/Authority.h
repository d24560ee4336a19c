/// http/codec/Authority.h: a host with its port, which can be written in more than one way.
#pragma once

#include <optional>
#include <string_view>

namespace matrixos::http {

/// What a Host field, an absolute-form target or an origin names. Two that name the same compare equal: letters in
/// either case, a name with or without the dot at its end, the scheme's own port spelled out, left empty or left out
/// (RFC 9110 §4.2.3, RFC 3986 §6.2.3).
struct Authority {
  std::string_view name; ///< as it came, but for that dot; an IPv6 address in its brackets
  unsigned port = 0;     ///< defaultPort where none is given

  /// Nothing for what is no authority: user information, an empty name, a port that is no number of up to five digits.
  /// `name` is a part of `text`.
  static std::optional<Authority> parse(std::string_view text, unsigned defaultPort) noexcept;
  /// Of http or https.
  static unsigned defaultPort(std::string_view scheme) noexcept;

  bool operator==(const Authority &other) const noexcept;
};

/// An origin, or the start of a URL: "https://example.com:8443".
struct Origin {
  std::string_view scheme;
  Authority authority;

  /// Nothing for what is none, "null" for instance.
  static std::optional<Origin> parse(std::string_view text) noexcept;

  bool operator==(const Origin &other) const noexcept;
};

} // namespace matrixos::http
