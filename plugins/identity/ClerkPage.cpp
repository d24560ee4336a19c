#include "ClerkPage.h"

#include <http/pages/Page.h>

namespace matrixos::identity {

namespace {

constexpr const char *kScript = R"js(const own = document.currentScript;
const say = (text) => { document.getElementById('state').textContent = text; };
addEventListener('load', async () => {
  try {
    await Clerk.load();
    if (!Clerk.session) {
      await Clerk.redirectToSignIn({ signInForceRedirectUrl: location.href, signUpForceRedirectUrl: location.href });
      return;
    }
    const token = await Clerk.session.getToken();
    const answer = await fetch('/auth/clerk', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ token }),
    });
    if (answer.ok) location.replace(own.dataset.return);
    else say((await answer.json()).error);
  } catch (failure) {
    say('Signing in did not work: ' + failure);
  }
});
)js";

} // namespace

std::string ClerkPage::main(const ClerkFrontend &clerk, const std::string &returnTo) {
  std::string out =
      "<h1>Sign in</h1><p id=\"state\" role=\"status\">Just a moment…</p>"
      "<noscript><p>Signing in takes JavaScript.</p></noscript><script defer crossorigin=\"anonymous\" src=\"https://";
  out.append(http::escapeHtml(clerk.host)).append("/npm/@clerk/clerk-js@5/dist/clerk.browser.js\" ");
  out.append("data-clerk-publishable-key=\"").append(http::escapeHtml(clerk.publishableKey)).append("\"></script>");
  out.append("<script defer src=\"").append(kScriptPath).append("\" data-return=\"");
  return out.append(http::escapeHtml(returnTo)).append("\"></script>");
}

std::string ClerkPage::policy(const ClerkFrontend &clerk) {
  const std::string there = " https://" + clerk.host;
  return "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'" + there +
         " https://challenges.cloudflare.com; connect-src 'self'" + there +
         "; img-src https://img.clerk.com data:; worker-src blob:; frame-src https://challenges.cloudflare.com; "
         "base-uri 'none'; form-action 'self'" +
         there + "; frame-ancestors 'none'";
}

const char *ClerkPage::script() {
  return kScript;
}

} // namespace matrixos::identity
