#include "Browser.h"

#include <utility>

namespace matrixos::test {

namespace {

std::pair<std::string, std::string> split(const std::string &url) {
  const std::size_t host = url.find("://") + 3;
  const std::size_t path = std::min(url.find('/', host), url.size());
  return {url.substr(host, path - host), path < url.size() ? url.substr(path) : "/"};
}

} // namespace

std::string parameterOf(const std::string &url, const std::string &name) {
  const std::size_t at = url.find(name + "=");
  if (at == std::string::npos) return {};
  const std::size_t begin = at + name.size() + 1;
  return url.substr(begin, url.find('&', begin) - begin);
}

Response Browser::send(const std::string &method, const std::string &host, const std::string &target, Headers headers,
                       const std::string &body) {
  headers.insert(headers.begin(), {"Host", host});
  std::string cookies;
  for (const auto &[name, value] : jar[host])
    cookies += (cookies.empty() ? "" : "; ") + name + "=" + value;
  if (!cookies.empty()) headers.emplace_back("Cookie", cookies);
  Response response = request(port_, method, target, headers, body);
  // Ours are never more than one at a time.
  if (const auto found = response.headers.find("set-cookie"); found != response.headers.end()) {
    const std::size_t equals = found->second.find('=');
    const std::string value = found->second.substr(equals + 1, found->second.find(';') - equals - 1);
    auto &own = jar[host];
    if (found->second.find("Max-Age=0") != std::string::npos)
      own.erase(found->second.substr(0, equals));
    else
      own[found->second.substr(0, equals)] = value;
  }
  return response;
}

Response Browser::open(const std::string &url, int hops) {
  std::string next = url;
  for (;;) {
    visited.push_back(next);
    const auto [host, target] = split(next);
    Response response = send("GET", host, target,
                             {{"Accept", "text/html"},
                              {"Sec-Fetch-Mode", "navigate"},
                              {"Sec-Fetch-Dest", "document"},
                              {"Sec-Fetch-Site", visited.size() > 1 ? "same-site" : "none"}});
    const auto location = response.headers.find("location");
    if (location == response.headers.end() || hops-- == 0) return response;
    next = location->second.front() == '/' ? "http://" + host + location->second : location->second;
  }
}

Response Browser::signInAs(const std::string &name, const std::string &url) {
  const Response page = open(url);
  if (page.status != 200 || visited.back().find("/auth/development?") == std::string::npos) return page;
  const std::string state = parameterOf(visited.back(), "state");
  return open(this->url(console_, "/auth/callback?state=" + state + "&name=" + name));
}

Response Browser::fetch(const std::string &method, const std::string &label, const std::string &target,
                        const std::string &from, Headers more, const std::string &body) {
  more.emplace_back("Sec-Fetch-Mode", "cors");
  more.emplace_back("Sec-Fetch-Dest", "empty");
  more.emplace_back("Sec-Fetch-Site", from.empty() ? "none" : from == label ? "same-origin" : "same-site");
  if (!from.empty()) more.emplace_back("Origin", "http://" + host(from));
  return send(method, host(label), target, std::move(more), body);
}

std::string Browser::cookie(const std::string &label, const std::string &name) const {
  const auto own = jar.find(host(label));
  if (own == jar.end()) return {};
  const auto found = own->second.find(name);
  return found == own->second.end() ? "" : found->second;
}

void Browser::setCookie(const std::string &label, const std::string &name, const std::string &value) {
  jar[host(label)][name] = value;
}

} // namespace matrixos::test
