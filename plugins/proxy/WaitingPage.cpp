#include "WaitingPage.h"

#include "ErrorPage.h"

#include <http/codec/Grammar.h>

#include <array>
#include <string>

namespace matrixos::proxy {

namespace {

constexpr std::string_view kStyle = R"css(
ol{margin:1.75rem 0 0;padding:0;list-style:none}
li{position:relative;padding:0 0 1.25rem 2.25rem;color:var(--soft)}
li:last-child{padding-bottom:0}
li::before{content:"";position:absolute;left:0;top:.125rem;width:1.25rem;height:1.25rem;border:2px solid var(--line);border-radius:50%}
li:not(:last-child)::after{content:"";position:absolute;left:.5625rem;top:1.625rem;bottom:.125rem;width:2px;background:var(--line)}
.done::before{background:var(--mark);border-color:var(--mark)}
.done:not(:last-child)::after{background:var(--mark)}
.now{color:var(--text);font-weight:600}
.now::before{border-color:var(--mark);border-right-color:transparent;animation:turn 1s linear infinite}
small{font-weight:400;color:var(--soft)}
@keyframes turn{to{transform:rotate(1turn)}}
@media(prefers-reduced-motion:reduce){.now::before{animation:none}}
)css";

constexpr std::array<const char *, 3> kSteps{"Waiting for its turn", "Starting", "Getting ready to answer"};

std::string steps(const WakeProgress &progress) {
  const auto now = static_cast<std::size_t>(progress.phase);
  std::string out;
  for (std::size_t i = 0; i < kSteps.size(); ++i) {
    out += i < now ? "<li class=\"done\">" : i == now ? "<li class=\"now\" aria-current=\"step\">" : "<li>";
    out += kSteps[i];
    if (i == 0 && now == 0 && progress.ahead != 0) {
      out += "<br><small>Place " + std::to_string(progress.ahead + 1) + " in the queue</small>";
    }
    out += "</li>";
  }
  return out;
}

} // namespace

bool isNavigation(const http::RequestHead &head) noexcept {
  if (head.method != "GET" || head.upgradeWebSocket) return false;
  const http::Field *mode = head.fields.find(http::Name::SecFetchMode);
  return mode != nullptr ? http::sameText(mode->value, "navigate") : wantsPage(head);
}

http::LocalResponse waitingPage(std::string_view handle, const WakeProgress &progress, int reloadSeconds) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(progress.since).count();
  http::LocalResponse response;
  response.status = 503;
  response.contentType = "text/html; charset=utf-8";
  // The handle's grammar has nothing that HTML could take for markup.
  const std::string title = std::string(handle) + " is waking up";
  const std::string reload = std::to_string(reloadSeconds);
  std::string head = "<meta http-equiv=\"refresh\" content=\"" + reload + "\"><style>";
  head.append(kStyle).append("</style>");
  std::string main =
      "<h1>" + title + "</h1><p>It slept while nobody used it.</p><ol>" + steps(progress) + "</ol><footer>";
  if (seconds > 0) main += std::to_string(seconds) + " s so far. ";
  main += "This page opens it by itself as soon as it answers.</footer>";
  response.body = htmlPage(title, head, main);
  response.fields = {
      {"Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"},
      {"Cache-Control", "no-store"},
      {"Retry-After", reload}};
  return response;
}

} // namespace matrixos::proxy
