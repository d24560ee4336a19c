#include "ErrorPage.h"

#include <edge/Grammar.h>

#include <string>

namespace matrixos::proxy {

namespace {

std::string escapeHtml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
    case '&':
      out += "&amp;";
      break;
    case '<':
      out += "&lt;";
      break;
    case '>':
      out += "&gt;";
      break;
    case '"':
      out += "&quot;";
      break;
    case '\'':
      out += "&#39;";
      break;
    default:
      out += c;
    }
  }
  return out;
}

std::string_view headline(int status) {
  switch (status) {
  case 404:
    return "There is nobody here";
  case 421:
    return "This address is not served here";
  case 502:
    return "This Matrix OS did not answer";
  case 503:
    return "This Matrix OS is not available right now";
  case 504:
    return "This Matrix OS takes too long";
  default:
    return edge::reasonPhrase(status);
  }
}

std::string page(int status, std::string_view sentence) {
  const std::string title = escapeHtml(headline(status));
  return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
         "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>" +
         title +
         "</title><style>:root{color-scheme:light dark}body{font:16px/1.5 "
         "system-ui,sans-serif;margin:0;min-height:100vh;"
         "display:grid;place-content:center;padding:2rem;box-sizing:border-box}main{max-width:34rem}h1{font-size:1."
         "5rem;"
         "margin:0 0 .5rem}p{margin:0 0 .75rem}small{opacity:.65}</style></head>\n<body><main><h1>" +
         title + "</h1><p>" + escapeHtml(sentence) + "</p><small>" + std::to_string(status) + " " +
         std::string(edge::reasonPhrase(status)) + "</small></main></body></html>\n";
}

/// "text/html;q=0": a weight of zero means not acceptable (RFC 9110 §12.4.2).
bool isRefused(std::string_view item) noexcept {
  const std::size_t at = item.find("q=0");
  return at != std::string_view::npos && item.find_first_of("123456789", at) == std::string_view::npos;
}

} // namespace

bool wantsPage(const edge::RequestHead &head) noexcept {
  for (const edge::Field &field : head.fields) {
    if (field.id != edge::Name::Accept) continue;
    bool html = false;
    edge::forEachListItem(field.value, [&](std::string_view item) {
      html = html || (edge::sameText(edge::trim(item.substr(0, item.find(';'))), "text/html") && !isRefused(item));
    });
    if (html) return true;
  }
  return false;
}

edge::LocalResponse errorResponse(bool asPage, int status, std::string_view sentence, int retryAfterSeconds) {
  edge::LocalResponse response;
  if (asPage) {
    response.status = status;
    response.contentType = "text/html; charset=utf-8";
    response.body = page(status, sentence);
    // The page is all there is: no script, no frame, nothing from elsewhere.
    response.fields.emplace_back("Content-Security-Policy",
                                 "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
  } else {
    response = edge::problem(status, sentence);
  }
  response.fields.emplace_back("Cache-Control", "no-store");
  if (retryAfterSeconds > 0) response.fields.emplace_back("Retry-After", std::to_string(retryAfterSeconds));
  return response;
}

} // namespace matrixos::proxy
