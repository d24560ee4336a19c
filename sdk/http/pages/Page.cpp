#include "Page.h"

#include <http/codec/Grammar.h>

namespace matrixos::http {

namespace {

/// Of all pages. A list is drawn as steps: class "done", class "now", and those to come.
constexpr std::string_view kStylesheet = R"css(
:root{color-scheme:light dark;--back:#f6f5f2;--card:#fff;--text:#1c1b1a;--soft:#6b6862;--line:#e2dfd8;--step:#8f8a82;--mark:#b94d26}
@media(prefers-color-scheme:dark){:root{--back:#161514;--card:#201f1d;--text:#eeebe5;--soft:#9d988f;--line:#35322e;--step:#7d7871;--mark:#e8794f}}
*,*::before,*::after{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.25rem;background:var(--back);color:var(--text);
font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{width:100%;max-width:26rem;padding:2rem;background:var(--card);border:1px solid var(--line);border-radius:1rem}
h1{margin:0 0 .25rem;font-size:1.375rem;line-height:1.25;overflow-wrap:anywhere}
p{margin:0;color:var(--soft);overflow-wrap:anywhere}
a{display:inline-block;margin-top:1.25rem;padding:.5rem 1rem;border-radius:.5rem;background:var(--mark);color:var(--card);
font-weight:600;text-decoration:none}
footer{margin-top:1.75rem;padding-top:1.25rem;border-top:1px solid var(--line);font-size:.875rem;color:var(--soft)}
ol{margin:1.75rem 0 0;padding:0;list-style:none}
li{position:relative;padding:0 0 1.25rem 2.25rem;color:var(--soft)}
li:last-child{padding-bottom:0}
li::before{content:"";position:absolute;left:0;top:.125rem;width:1.25rem;height:1.25rem;border:2px solid var(--step);border-radius:50%}
li:not(:last-child)::after{content:"";position:absolute;left:.5625rem;top:1.625rem;bottom:.125rem;width:2px;background:var(--step)}
.done::before{background:var(--mark);border-color:var(--mark)}
.done:not(:last-child)::after{background:var(--mark)}
.now{color:var(--text);font-weight:600}
.now::before{border-color:var(--mark);border-right-color:transparent;animation:turn 1s linear infinite}
small{font-weight:400;color:var(--soft)}
@keyframes turn{to{transform:rotate(1turn)}}
@media(prefers-reduced-motion:reduce){.now::before{animation:none}}
)css";

/// "text/html;q=0": a weight of zero means not acceptable (RFC 9110 §12.4.2).
bool isRefused(std::string_view item) noexcept {
  const std::size_t at = item.find("q=0");
  return at != std::string_view::npos && item.find_first_of("123456789", at) == std::string_view::npos;
}

} // namespace

std::string escapeHtml(std::string_view text) {
  constexpr std::string_view kSpecial = "&<>\"'";
  constexpr const char *kEntities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
  std::string out;
  for (const char c : text) {
    if (const std::size_t at = kSpecial.find(c); at != std::string_view::npos)
      out += kEntities[at];
    else
      out += c;
  }
  return out;
}

std::string pagePolicy(std::string_view ancestors) {
  return "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors " + std::string(ancestors);
}

std::string htmlPage(std::string_view title, std::string_view main, std::string_view head) {
  std::string out = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>";
  out.append(escapeHtml(title)).append("</title><style>").append(kStylesheet).append("</style>").append(head);
  return out.append("</head>\n<body><main>").append(main).append("</main></body></html>\n");
}

bool wantsPage(const RequestHead &head) noexcept {
  for (const Field &field : head.fields) {
    if (field.id != Name::Accept) continue;
    bool html = false;
    forEachListItem(field.value, [&](std::string_view item) {
      html = html || (sameText(trim(item.substr(0, item.find(';'))), "text/html") && !isRefused(item));
    });
    if (html) return true;
  }
  return false;
}

bool isNavigation(const RequestHead &head) noexcept {
  if (head.method != "GET" || head.upgradeWebSocket) return false;
  const Field *mode = head.fields.find(Name::SecFetchMode);
  return mode != nullptr ? sameText(mode->value, "navigate") : wantsPage(head);
}

} // namespace matrixos::http
