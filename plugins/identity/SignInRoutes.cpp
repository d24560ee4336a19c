#include "SignInRoutes.h"

#include "ClerkPage.h"
#include "DevelopmentProvider.h"
#include "Pages.h"
#include "SessionViews.h"
#include "oidc/Encoding.h"

#include <matrixos/handle.hpp>
#include <matrixos/json.hpp>

#include <http/client/PercentEncoding.h>

namespace matrixos::identity {

namespace {

constexpr std::size_t kMostQuery = 8192;

/// Of the ways back from providers; empty for what is no query.
std::multimap<std::string, std::string> queryOf(const Exchange &exchange) {
  if (exchange.query().size() > kMostQuery) return {};
  return formDecode(exchange.query()).value_or(std::multimap<std::string, std::string>());
}

} // namespace

SignInRoutes::SignInRoutes(const ConsoleHost &console, Sessions &sessions, const Access &access, Codes &codes,
                           SignIn &signIn, const Newcomers &newcomers, const Diary &diary, const Log &log,
                           std::string mode, ClerkFrontend clerk)
    : console_(console), hosts_(console.hosts()), sessions_(sessions), access_(access), codes_(codes), signIn_(signIn),
      newcomers_(newcomers), diary_(diary), log_(log), mode_(std::move(mode)), clerk_(std::move(clerk)) {}

void SignInRoutes::addTo(Routes &routes) {
  const auto page = [&](const char *method, const char *path, const char *permission, const char *summary,
                        void (SignInRoutes::*handler)(Exchange &) const, std::uint64_t maxBody = 0) {
    routes.add(
        method, path, permission, summary, [this, handler](Exchange &exchange) { (this->*handler)(exchange); },
        maxBody);
  };
  constexpr const char *kAnybody = MOS_PERMISSION_PUBLIC;
  page("GET", "//console/", kAnybody, "Leads to /auth", &SignInRoutes::home);
  page("GET", "//console/auth", kAnybody, "Who is signed in, for people", &SignInRoutes::home);
  page("GET", "//console/auth/login", kAnybody, "Leads to the provider", &SignInRoutes::login);
  page("GET", "//console/auth/callback", kAnybody, "The way back from the provider", &SignInRoutes::callback);
  page("POST", "//console/auth/clerk", kAnybody, "Signs in with a session token of Clerk's", &SignInRoutes::clerk,
       16 * 1024);
  page("GET", "//console/auth/authorize", kAnybody, "Leads to an instance's host with a code",
       &SignInRoutes::authorize);
  page("POST", "//console/auth/logout", kAnybody, "Signs out, on all hosts", &SignInRoutes::logout, 1024);
  page("GET", "//console/auth/me", MOS_PERMISSION_SIGNED_IN, "Who is signed in", &SignInRoutes::me);
  page("GET", "//console/auth/sessions", MOS_PERMISSION_SIGNED_IN, "One's sessions", &SignInRoutes::listOwn);
  page("DELETE", "//console/auth/sessions/:id", MOS_PERMISSION_SIGNED_IN, "Ends one of one's sessions",
       &SignInRoutes::endOne);
  addModes(routes);
}

/// What one of the modes alone has.
void SignInRoutes::addModes(Routes &routes) {
  if (!clerk_.host.empty()) {
    const auto script = [](Exchange &exchange) {
      exchange.respond(200, "text/javascript; charset=utf-8", ClerkPage::script());
    };
    routes.add("GET", std::string("//console") + ClerkPage::kScriptPath, MOS_PERMISSION_PUBLIC,
               "The script of the sign-in page, with mode=clerk", script, 0);
  }
  if (mode_ != "none") return;
  routes.add(
      "GET", std::string("//console") + DevelopmentProvider::kPath, MOS_PERMISSION_PUBLIC,
      "Asks for a name, with mode=none",
      [this](Exchange &exchange) {
        const OurHost at = console_.of(exchange);
        const std::string state(exchange.queryParam("state").value_or(""));
        // Browsers hold the redirects after a form to this, and they lead to instances' hosts.
        show(exchange, 200, "Sign in", DevelopmentProvider::form(state), policyFor("'self' " + at.origin("*")));
      },
      0);
}

/// Of the sign-in that this browser began last; empty where it began none.
std::string SignInRoutes::browserOf(const Exchange &exchange, const OurHost &at) {
  std::string found;
  anyCookie(exchange.header("cookie").value_or(""), http::nameOf(CookieKind::SignIn, at.plain),
            [&](std::string_view value) {
              if (isId(value)) found = value;
              return !found.empty();
            });
  return found;
}

void SignInRoutes::home(Exchange &exchange) const {
  const OurHost at = console_.of(exchange);
  if (exchange.path() == "/") return goTo(exchange, "/auth");
  const auto session = console_.sessionOf(exchange, at);
  if (!session) {
    return show(exchange, 200, "Sign in",
                message("You are not signed in", "Sign in to open your instance.",
                        link("/auth/login?return=/auth", "Sign in")));
  }
  const User &user = *session->user;
  std::string main = message("You are signed in", user.email().empty() ? user.id() : user.email());
  const auto instances = access_.ofUser(user);
  if (instances.empty()) main += "<p>" + nothingOf(user) + "</p>";
  for (const auto &[handle, role] : instances)
    main += "<p>" + link(at.origin(handle) + "/", handle) + "</p>";
  main += "<form method=\"post\" action=\"/auth/logout\"><footer><button>Sign out everywhere in this "
          "browser</button></footer></form>";
  show(exchange, 200, "Signed in", main);
}

/// What is said to whoever has no instance, and shares none.
std::string SignInRoutes::nothingOf(const User &user) const {
  const auto [state, isTriedAgain] = newcomers_.welcome(user);
  if (state == "failed" && isTriedAgain)
    return "Your instance could not be made so far. It is tried again; look again in a while.";
  if (state == "failed") return "You have no instance any more. Ask the operator of this platform for another.";
  if (state == "waiting" || state == "provisioning" || state == "done")
    return "Your instance is on its way. Look again in a moment.";
  return "You have no instance, and nobody shares one with you.";
}

void SignInRoutes::login(Exchange &exchange) const {
  const OurHost at = console_.of(exchange);
  if (!isDocument(exchange)) throw Error(Status::PermissionDenied, "signing in takes a tab of its own", "NO_DOCUMENT");
  std::string returnTo = hosts_.safeReturn(exchange.queryParam("return").value_or("/"), at);
  if (console_.sessionOf(exchange, at)) return goTo(exchange, returnTo);
  if (!clerk_.host.empty())
    return show(exchange, 200, "Sign in", ClerkPage::main(clerk_, returnTo), ClerkPage::policy(clerk_));
  try {
    const auto begun = signIn_.begin(at, browserOf(exchange, at), std::move(returnTo));
    goTo(exchange, begun.location, {{"Set-Cookie", setCookie(CookieKind::SignIn, at.plain, begun.browser, 600)}});
  } catch (const Error &error) {
    show(exchange, static_cast<std::uint32_t>(httpStatus(error.status())), "Sign-in failed",
         message("Signing in is not possible now", error.what(), link("/auth", "Back")));
  }
}

std::string SignInRoutes::signedInCookie(const OurHost &at, const std::string &cookie) const {
  const auto session = sessions_.table().find(cookie, sessions_.now());
  return setCookie(CookieKind::Session, at.plain, cookie, session ? (session->expiresAt - sessions_.now()) / 1000 : 0);
}

/// Whoever signs in anew leaves no session behind in this browser.
void SignInRoutes::endPrevious(const Exchange &exchange, const OurHost &at) const {
  if (const auto before = console_.sessionOf(exchange, at)) end(*before);
}

/// False when it had ended already. It is over even where the database cannot say so now.
bool SignInRoutes::end(const SessionView &session) const {
  try {
    return sessions_.end(session.digest);
  } catch (const Error &error) {
    log_.warning("a session has ended that may come back with a restart",
                 {{"id", session.publicId()}, {"userId", session.user->id()}, {"error", error.what()}});
    return true;
  }
}

void SignInRoutes::callback(Exchange &exchange) const {
  const OurHost at = console_.of(exchange);
  try {
    const auto done = signIn_.finish(at, browserOf(exchange, at), queryOf(exchange));
    endPrevious(exchange, at);
    if (const auto session = sessions_.table().find(done.cookie, sessions_.now())) {
      diary_.signedIn(exchange, *session->user, mode_);
      newcomers_.welcome(*session->user, done.username);
    }
    goTo(exchange, done.returnTo, {{"Set-Cookie", signedInCookie(at, done.cookie)}});
  } catch (const Error &error) {
    noteRefused(exchange, error);
    show(exchange, static_cast<std::uint32_t>(httpStatus(error.status())), "Sign-in failed",
         message("You are not signed in", error.what(), link("/auth/login", "Try again")));
  }
}

void SignInRoutes::noteRefused(const Exchange &exchange, const Error &error) const {
  const auto *refused = dynamic_cast<const UserRefused *>(&error);
  diary_.refused(exchange, refused == nullptr ? std::string_view() : refused->userId(), mode_, error);
}

void SignInRoutes::clerk(Exchange &exchange) const {
  const OurHost at = console_.of(exchange);
  ConsoleHost::requireOwnPage(exchange, at);
  // A form of another site cannot send this type without asking first, old browsers included.
  if (exchange.header("content-type").value_or("").substr(0, 16) != "application/json")
    throw Error(Status::InvalidArgument, "send {\"token\"} as application/json", "BAD_TYPE");
  const std::string token = json::getString(*json::parseObject(exchange.body()), "token");
  std::string cookie;
  try {
    cookie = signIn_.redeem(token);
  } catch (const Error &error) {
    noteRefused(exchange, error);
    throw;
  }
  endPrevious(exchange, at);
  if (const auto session = sessions_.table().find(cookie, sessions_.now()))
    diary_.signedIn(exchange, *session->user, mode_);
  answer(exchange, R"({"ok":true})", {{"Set-Cookie", signedInCookie(at, cookie)}});
}

void SignInRoutes::authorize(Exchange &exchange) const {
  const OurHost at = console_.of(exchange);
  if (!isDocument(exchange)) throw Error(Status::PermissionDenied, "signing in takes a tab of its own", "NO_DOCUMENT");
  const std::string host(exchange.queryParam("host").value_or(""));
  const std::string nonce(exchange.queryParam("nonce").value_or(""));
  const std::string back(exchange.queryParam("return").value_or("/"));
  const auto to = hosts_.parse(host, at.plain ? "http" : "https");
  // Whole, as the policy writes it: nothing is sent to a host that only begins or ends like one of ours.
  if (!to || host != at.name(to->label) || !isHandle(to->label) || !isId(nonce))
    return show(exchange, 400, "Not found",
                message("This link leads nowhere", "It names no instance of this platform."));
  const auto session = console_.sessionOf(exchange, at);
  if (!session) {
    const std::string again = "/auth/authorize?host=" + http::percentEncode(host) + "&nonce=" + nonce +
                              "&return=" + http::percentEncode(Hosts::isPath(back) ? back : "/");
    return goTo(exchange, "/auth/login?return=" + http::percentEncode(again));
  }
  const User &user = *session->user;
  // The same whether there is such an instance: names of strangers' are nobody's business.
  if (access_.roleOf(to->label, user) == MOS_ROLE_NONE && user.operatorBy().empty()) {
    return show(exchange, 403, "Not yours",
                message("This instance is not yours", "Nobody shares it with you either, or there is none.",
                        link("/auth", "Your instances")));
  }
  const std::string code = makeId();
  codes_.put(Digest::of(code), {session->digest, to->label, nonce, Hosts::isPath(back) ? back : "/"}, sessions_.now());
  goTo(exchange, at.origin(to->label) + "/.matrixos/auth?code=" + code);
}

void SignInRoutes::logout(Exchange &exchange) const {
  const OurHost at = console_.of(exchange);
  ConsoleHost::requireOwnPage(exchange, at);
  if (const auto session = console_.sessionOf(exchange, at); session && end(*session))
    diary_.signedOut(exchange, *session->user);
  const std::string gone = setCookie(CookieKind::Session, at.plain, "", 0);
  if (exchange.header("accept").value_or("").find("text/html") != std::string_view::npos)
    return goTo(exchange, "/auth", {{"Set-Cookie", gone}});
  answer(exchange, R"({"ok":true})", {{"Set-Cookie", gone}});
}

void SignInRoutes::me(Exchange &exchange) const {
  answer(exchange, meJson(console_.requireSession(exchange), access_));
}

void SignInRoutes::listOwn(Exchange &exchange) const {
  answer(exchange, sessionsJson(sessions_, console_.requireSession(exchange).user->id()));
}

void SignInRoutes::endOne(Exchange &exchange) const {
  const SessionView session = console_.requireSession(exchange);
  ConsoleHost::requireOwnPage(exchange, console_.of(exchange));
  endSession(sessions_, exchange.param("id"), session.user->id());
  answer(exchange, R"({"ok":true})");
}

} // namespace matrixos::identity
