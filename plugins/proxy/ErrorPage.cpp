#include "ErrorPage.h"

#include <http/codec/Grammar.h>

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
    return http::reasonPhrase(status);
  }
}

/// What every page has; no step or spinner of the waiting page is in it.
constexpr std::string_view kStyle = R"css(
:root{color-scheme:light dark;--back:#f6f5f2;--card:#fff;--text:#1c1b1a;--soft:#6b6862;--line:#e2dfd8;--mark:#b94d26}
@media(prefers-color-scheme:dark){:root{--back:#161514;--card:#201f1d;--text:#eeebe5;--soft:#9d988f;--line:#35322e;--mark:#e8794f}}
*,*::before,*::after{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.25rem;background:var(--back);color:var(--text);
font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{width:100%;max-width:26rem;padding:2rem;background:var(--card);border:1px solid var(--line);border-radius:1rem}
h1{margin:0 0 .25rem;font-size:1.375rem;line-height:1.25;overflow-wrap:anywhere}
p{margin:0;color:var(--soft);overflow-wrap:anywhere}
a{display:inline-block;margin-top:1.25rem;padding:.5rem 1rem;border-radius:.5rem;background:var(--mark);color:var(--card);
font-weight:600;text-decoration:none}
footer{margin-top:1.75rem;padding-top:1.25rem;border-top:1px solid var(--line);font-size:.875rem;color:var(--soft)}
)css";

/// "there is no such handle" → "There is no such handle."
std::string asSentence(std::string_view text) {
  std::string out(text);
  if (!out.empty() && out.front() >= 'a' && out.front() <= 'z')
    out.front() = static_cast<char>(out.front() - 'a' + 'A');
  return out + ".";
}

std::string page(int status, std::string_view sentence) {
  const std::string title = escapeHtml(headline(status));
  std::string main = "<h1>" + title + "</h1><p>" + escapeHtml(asSentence(sentence)) + "</p>";
  // The same address once more: these may pass.
  if (status >= 502 && status <= 504) main += "<a href=\"\">Try again</a>";
  main.append("<footer>")
      .append(std::to_string(status))
      .append(" ")
      .append(http::reasonPhrase(status))
      .append("</footer>");
  return htmlPage(title, {}, main);
}

/// "text/html;q=0": a weight of zero means not acceptable (RFC 9110 §12.4.2).
bool isRefused(std::string_view item) noexcept {
  const std::size_t at = item.find("q=0");
  return at != std::string_view::npos && item.find_first_of("123456789", at) == std::string_view::npos;
}

} // namespace

std::string htmlPage(std::string_view title, std::string_view head, std::string_view main) {
  std::string out = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>";
  out.append(title).append("</title><style>").append(kStyle).append("</style>").append(head);
  return out.append("</head>\n<body><main>").append(main).append("</main></body></html>\n");
}

bool wantsPage(const http::RequestHead &head) noexcept {
  for (const http::Field &field : head.fields) {
    if (field.id != http::Name::Accept) continue;
    bool html = false;
    http::forEachListItem(field.value, [&](std::string_view item) {
      html = html || (http::sameText(http::trim(item.substr(0, item.find(';'))), "text/html") && !isRefused(item));
    });
    if (html) return true;
  }
  return false;
}

http::LocalResponse errorResponse(bool asPage, int status, std::string_view sentence, int retryAfterSeconds) {
  http::LocalResponse response;
  if (asPage) {
    response.status = status;
    response.contentType = "text/html; charset=utf-8";
    response.body = page(status, sentence);
    // The page is all there is: no script, no frame, nothing from elsewhere.
    response.fields.emplace_back("Content-Security-Policy",
                                 "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
  } else {
    response = http::problemResponse(status, sentence);
  }
  response.fields.emplace_back("Cache-Control", "no-store");
  if (retryAfterSeconds > 0) response.fields.emplace_back("Retry-After", std::to_string(retryAfterSeconds));
  return response;
}

} // namespace matrixos::proxy
