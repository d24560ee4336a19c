/// http/client/BaseUrl.h: where a server is.
#pragma once

#include <string>
#include <string_view>

namespace matrixos::http {

/// A server's host and port, or its unix socket, and the path that all its targets begin with.
class BaseUrl {
public:
  /// Reads `http://host[:port][/prefix]`, the same with https, or `unix:/path/to/socket`. Slashes at the end are
  /// dropped. Throws Error(InvalidArgument) for anything else, such as a user name, a query or a space.
  static BaseUrl parse(std::string_view text);

  /// Plain HTTP over a unix socket. `host` is what the Host field says. Throws Error(InvalidArgument) for a path that
  /// no socket can have: it has 1 to 107 bytes, none of them NUL.
  static BaseUrl unixSocket(std::string_view path, std::string_view host = "localhost");

  /// As parse() would read it.
  const std::string &text() const noexcept { return text_; }
  bool isTls() const noexcept { return origin_.front() == 'h' && origin_[4] == 's'; }
  /// Empty for TCP.
  const std::string &socketPath() const noexcept { return socketPath_; }
  /// Scheme, host and port: "http://localhost:8080".
  const std::string &origin() const noexcept { return origin_; }
  /// Empty, or a path that begins with a slash and does not end with one.
  const std::string &prefix() const noexcept { return prefix_; }

private:
  BaseUrl() = default;

  std::string text_;
  std::string socketPath_;
  std::string origin_;
  std::string prefix_;
};

} // namespace matrixos::http
