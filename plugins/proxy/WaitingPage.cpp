#include "WaitingPage.h"

#include <http/pages/Page.h>

#include <array>
#include <string>

namespace matrixos::proxy {

namespace {

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

http::LocalResponse waitingPage(std::string_view handle, const WakeProgress &progress, int reloadSeconds) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(progress.since).count();
  http::LocalResponse response;
  response.status = 503;
  response.contentType = "text/html; charset=utf-8";
  // The handle's grammar has nothing that HTML could take for markup.
  const std::string title = std::string(handle) + " is waking up";
  const std::string reload = std::to_string(reloadSeconds);
  std::string main =
      "<h1>" + title + "</h1><p>It slept while nobody used it.</p><ol>" + steps(progress) + "</ol><footer>";
  if (seconds > 0) main += std::to_string(seconds) + " s so far. ";
  main += "This page opens it by itself as soon as it answers.</footer>";
  response.body = http::htmlPage(title, main, "<meta http-equiv=\"refresh\" content=\"" + reload + "\">");
  response.fields = {
      {"Content-Security-Policy", http::pagePolicy("'self'")}, {"Cache-Control", "no-store"}, {"Retry-After", reload}};
  return response;
}

} // namespace matrixos::proxy
