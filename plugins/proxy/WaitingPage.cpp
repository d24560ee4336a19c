#include "WaitingPage.h"

#include <matrixos/text/base64.hpp>

#include <http/pages/Page.h>
#include <openssl/sha.h>

#include <array>
#include <string>

namespace matrixos::proxy {

namespace {

constexpr std::array<const char *, 3> kSteps{"Waiting for its turn", "Starting", "Getting ready to answer"};

/// Only what has changed is written, so that a screen reader tells of a step and not of each look.
constexpr std::string_view kScript = R"js(
(function () {
  var main = document.querySelector('main'), list = main.querySelector('ol'), data = list.dataset;
  function later(seconds) { setTimeout(look, 1000 * seconds); }
  function put(to, from) { if (to.innerHTML !== from.innerHTML) to.innerHTML = from.innerHTML; }
  function look() {
    fetch(data.look, { headers: { Accept: 'text/html' }, cache: 'no-store' }).then(function (answer) {
      if (answer.status === 204) return location.reload();
      return answer.text().then(function (text) {
        var now = new DOMParser().parseFromString(text, 'text/html').querySelector('main');
        if (!now) return location.reload();
        if (!now.querySelector('ol')) return put(main, now);
        put(list, now.querySelector('ol'));
        put(main.querySelector('footer'), now.querySelector('footer'));
        later(answer.headers.get('Retry-After') || 1);
      });
    }).catch(function () { later(data.seconds); });
  }
  later(data.seconds);
})();
)js";

/// The page's own script and no other (CSP Level 3, §2.3.1), which may ask this host alone.
const std::string &policy() {
  static const std::string text = [] {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    ::SHA256(reinterpret_cast<const unsigned char *>(kScript.data()), kScript.size(), digest.data());
    return http::pagePolicy("'self'") + "; connect-src 'self'; script-src 'sha256-" +
           base64Encode({reinterpret_cast<const char *>(digest.data()), digest.size()}) + "'";
  }();
  return text;
}

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

http::LocalResponse waitingPage(std::string_view handle, std::string_view base, const WakeProgress &progress,
                                int reloadSeconds) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(progress.since).count();
  http::LocalResponse response;
  response.status = 503;
  response.contentType = "text/html; charset=utf-8";
  // The handle's grammar has nothing that HTML could take for markup.
  const std::string title = std::string(handle) + " is waking up";
  const std::string reload = std::to_string(reloadSeconds);
  std::string main = "<h1>" + title + "</h1><p>It went to sleep because nobody was using it.</p>";
  main.append("<ol aria-live=\"polite\" data-seconds=\"").append(reload).append("\" data-look=\"").append(base);
  main.append(kWaitingPath).append("\">").append(steps(progress)).append("</ol><footer>");
  if (seconds > 0) main += std::to_string(seconds) + " s so far. ";
  main += "This page opens it by itself as soon as it answers.</footer>";
  main.append("<script>").append(kScript).append("</script>");
  response.body =
      http::htmlPage(title, main, "<noscript><meta http-equiv=\"refresh\" content=\"" + reload + "\"></noscript>");
  response.fields = {{"Content-Security-Policy", policy()}, {"Cache-Control", "no-store"}, {"Retry-After", reload}};
  return response;
}

} // namespace matrixos::proxy
