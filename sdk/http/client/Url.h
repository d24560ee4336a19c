/// http/client/Url.h: one address of the web.
#pragma once

#include <string>
#include <string_view>

namespace matrixos::http {

/// An absolute http or https URL, in the parts that a request needs.
struct Url {
  std::string origin; ///< scheme, host and, unless the scheme implies it, port: "https://example.org:8443"
  std::string target; ///< path and query, as they were written: "/a?b=c"

  /// Throws Error(InvalidArgument, "BAD_URL") for anything else, also for a URL with credentials. A fragment is left
  /// out.
  static Url parse(std::string_view text);
  /// What a Location field of the answer to this URL means (RFC 9110 §10.2.2). Throws like parse().
  Url resolve(std::string_view location) const;

  bool isTls() const noexcept { return origin.compare(0, 6, "https:") == 0; }
};

} // namespace matrixos::http
