#include "BaseUrl.h"

#include "../codec/Authority.h"
#include "../codec/Grammar.h"

#include <matrixos/status.hpp>

#include <sys/un.h>

namespace matrixos::http {

namespace {

Error refusal(std::string_view text, const char *why) {
  return Error(Status::InvalidArgument, "\"" + std::string(text) + "\" " + why, "BAD_URL");
}

/// Whether host and port, of which the first is there, can be connected to.
bool isAuthority(std::string_view text) {
  const auto authority = Authority::parse(text, 80);
  return authority && text.back() != ':' && authority->port >= 1 && authority->port <= 65535;
}

} // namespace

BaseUrl BaseUrl::unixSocket(std::string_view path, std::string_view host) {
  if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path) || path.find('\0') != std::string_view::npos) {
    throw refusal("unix:" + std::string(path), "names no socket; its path has 1 to 107 bytes");
  }
  BaseUrl url;
  url.text_ = "unix:" + std::string(path);
  url.socketPath_ = path;
  url.origin_ = "http://" + std::string(host);
  return url;
}

BaseUrl BaseUrl::parse(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  if (text.substr(0, kUnix.size()) == kUnix) return unixSocket(text.substr(kUnix.size()));
  const std::size_t scheme = text.find("://");
  const std::string_view name = text.substr(0, scheme);
  if (scheme == std::string_view::npos || (name != "http" && name != "https")) {
    throw refusal(text, "is no address of a server; write http://host:port, https://host or unix:/path");
  }
  const std::size_t host = scheme + 3;
  const std::size_t path = text.find('/', host);
  if (!isAuthority(text.substr(host, path == std::string_view::npos ? path : path - host))) {
    throw refusal(text, "names no host, or more than a host and its port");
  }
  BaseUrl url;
  url.origin_ = text.substr(0, path);
  if (path != std::string_view::npos) url.prefix_ = text.substr(path);
  while (!url.prefix_.empty() && url.prefix_.back() == '/')
    url.prefix_.pop_back();
  const bool clean = url.prefix_.empty() || isTarget(url.prefix_);
  if (!clean || url.prefix_.find('?') != std::string::npos) {
    throw refusal(text, "has a query, a fragment or a character that no path may hold");
  }
  url.text_ = url.origin_ + url.prefix_;
  return url;
}

} // namespace matrixos::http
