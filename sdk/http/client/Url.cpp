#include "Url.h"

#include <matrixos/status.hpp>

#include <curl/curl.h>

#include <algorithm>
#include <memory>
#include <new>

namespace matrixos::http {

namespace {

constexpr std::size_t kLongest = 8192;

class Parser {
public:
  void read(std::string_view text, unsigned flags) {
    if (!handle_) throw std::bad_alloc();
    // libcurl lets pass what two readers could understand in two ways.
    const bool odd = std::any_of(text.begin(), text.end(), [](char c) {
      return static_cast<unsigned char>(c) <= ' ' || static_cast<unsigned char>(c) >= 0x7f || c == '\\';
    });
    if (odd || text.size() > kLongest) refuse();
    if (curl_url_set(handle_.get(), CURLUPART_URL, std::string(text).c_str(), flags) != CURLUE_OK) refuse();
  }

  std::string part(CURLUPart which, unsigned flags = 0) const {
    char *text = nullptr;
    if (curl_url_get(handle_.get(), which, &text, flags) != CURLUE_OK) return {};
    const std::unique_ptr<char, void (*)(void *)> owned(text, curl_free);
    return text;
  }

  Url url() const {
    Url url;
    const std::string scheme = part(CURLUPART_SCHEME), port = part(CURLUPART_PORT, CURLU_NO_DEFAULT_PORT);
    if (scheme != "http" && scheme != "https") refuse();
    std::string host = part(CURLUPART_HOST);
    std::transform(host.begin(), host.end(), host.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    if (host.empty()) refuse();
    url.origin = scheme + "://" + host + (port.empty() ? "" : ":" + port);
    const std::string query = part(CURLUPART_QUERY);
    url.target = part(CURLUPART_PATH) + (query.empty() ? "" : "?" + query);
    return url;
  }

  [[noreturn]] static void refuse() {
    throw Error(Status::InvalidArgument, "the URL is not an absolute one of http or https without credentials",
                "BAD_URL");
  }

private:
  std::unique_ptr<CURLU, void (*)(CURLU *)> handle_{curl_url(), curl_url_cleanup};
};

} // namespace

Url Url::parse(std::string_view text) {
  Parser parser;
  // libcurl would take "http:/x" and "http:///x" for "http://x".
  const std::size_t host = text.find("://");
  if (host == std::string_view::npos || text.substr(host + 3, 1) == "/") Parser::refuse();
  parser.read(text, CURLU_DISALLOW_USER | CURLU_PATH_AS_IS);
  return parser.url();
}

Url Url::resolve(std::string_view location) const {
  Parser parser;
  parser.read(origin + target, CURLU_DISALLOW_USER | CURLU_PATH_AS_IS);
  parser.read(location, CURLU_DISALLOW_USER);
  return parser.url();
}

} // namespace matrixos::http
