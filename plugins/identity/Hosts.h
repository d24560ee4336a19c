#pragma once

#include <http/codec/DomainNames.h>
#include <http/codec/Grammar.h>
#include <http/codec/PlatformCookie.h>

#include <optional>
#include <string>
#include <string_view>

namespace matrixos::identity {

constexpr std::string_view kConsole = http::kConsoleLabel; ///< the site whose host people sign in on

using CookieKind = http::PlatformCookie;

/// A host of ours, as a request named it.
struct OurHost {
  std::string label;     ///< "alice", "console"
  std::string suffix;    ///< ".example.com", ".localhost"
  std::string port;      ///< ":9000", or empty
  bool plain = false;    ///< on *.localhost over http, where browsers take no Secure cookie
  std::string console{}; ///< the console's host, without the port

  /// "https://alice.example.com": of another label on the same domain.
  std::string origin(std::string_view other) const;
  std::string name(std::string_view other) const {
    return (other == kConsole ? console : std::string(other) + suffix) + port;
  }
};

/// Which hosts are ours: one label below the platform's domain, or below localhost, and the console's.
class Hosts {
public:
  /// `consoleHost`: empty for console.<domain>.
  explicit Hosts(std::string_view domain, std::string_view consoleHost = {}) : names_(domain, consoleHost) {}

  /// The console's host below the domain's name, or beside it.
  const std::string &console() const noexcept { return names_.console(); }
  /// `scheme`: of the client, as far as is known. Nothing for a host that is none of ours.
  std::optional<OurHost> parse(std::string_view host, std::string_view scheme) const;
  /// The console's host as browsers reach it by the way a request came, also where that is one of the API's hosts: the
  /// bare domain, this machine by its name or address.
  std::optional<OurHost> consoleBy(std::string_view host, std::string_view scheme) const;
  /// Whether browsers hold no Secure cookie for it; allocates nothing.
  static bool isPlain(std::string_view host, std::string_view scheme) noexcept;

  /// Where a browser on `at` may be sent back to: `wanted` when it is a path, or a URL on a host of ours that is
  /// reached as `at` is; else "/".
  std::string safeReturn(std::string_view wanted, const OurHost &at) const;
  /// A path that is one for every browser: "/" or "/…" without a second slash, backslashes and control characters.
  static bool isPath(std::string_view text) noexcept;

private:
  http::DomainNames names_;
};

/// A Set-Cookie value. `seconds`: how long it is kept; 0 takes it away.
std::string setCookie(CookieKind kind, bool plain, std::string_view value, std::int64_t seconds);

/// Calls each(value) for the cookies of that name in a Cookie field's value, until it answers true; whether it did.
template <typename Each>
bool anyCookie(std::string_view cookies, std::string_view name, Each &&each) {
  while (!cookies.empty()) {
    const std::size_t end = cookies.find(';');
    const std::string_view pair = http::trim(cookies.substr(0, end));
    cookies.remove_prefix(end == std::string_view::npos ? cookies.size() : end + 1);
    if (pair.size() <= name.size() || pair[name.size()] != '=' || pair.substr(0, name.size()) != name) continue;
    if (each(pair.substr(name.size() + 1))) return true;
  }
  return false;
}

} // namespace matrixos::identity
