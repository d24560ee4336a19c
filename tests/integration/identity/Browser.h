#pragma once

#include "support/HttpClient.h"

#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace matrixos::test {

/// A browser as far as signing in goes: cookies by host, redirects, Fetch-Metadata. All its hosts are on one proxy.
class Browser {
public:
  /// `console`: where people sign in.
  explicit Browser(std::uint16_t port, std::string console = "console") : port_(port), console_(std::move(console)) {}

  /// "alice.localhost:9000", as a browser writes it.
  std::string host(const std::string &label) const { return label + ".localhost:" + std::to_string(port_); }
  std::string url(const std::string &label, const std::string &target) const {
    return "http://" + host(label) + target;
  }

  /// Opens a page in a tab and follows where it leads, up to `hops` times. `visited` has all URLs since.
  Response open(const std::string &url, int hops = 20);
  /// One request of a page of `from`'s ("alice", or "" for none), with its cookies.
  Response fetch(const std::string &method, const std::string &label, const std::string &target,
                 const std::string &from, Headers more = {}, const std::string &body = {});
  /// Opens a page that asks for who it is, gives that name, and goes on.
  Response signInAs(const std::string &name, const std::string &url);

  std::string cookie(const std::string &label, const std::string &name) const;
  void setCookie(const std::string &label, const std::string &name, const std::string &value);
  std::map<std::string, std::map<std::string, std::string>> jar; ///< by host, by name

  std::vector<std::string> visited;

private:
  Response send(const std::string &method, const std::string &host, const std::string &target, Headers headers,
                const std::string &body = {});

  std::uint16_t port_;
  std::string console_;
};

/// The value of a parameter in a URL, as it stands there.
std::string parameterOf(const std::string &url, const std::string &name);

} // namespace matrixos::test
