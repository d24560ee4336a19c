#include "SignInRoutes.h"

#include "ClerkPage.h"
#include "DevelopmentProvider.h"
#include "RequestOrigin.h"
#include "SessionRoutes.h"

#include <matrixos/handle.hpp>
#include <matrixos/identity.hpp>
#include <matrixos/json.hpp>
#include <matrixos/json_text.hpp>

#include <http/client/PercentEncoding.h>
#include <http/pages/Page.h>

#include <algorithm>

namespace matrixos::identity {

namespace {

constexpr const char *kHtml = "text/html; charset=utf-8";
constexpr std::size_t kMostQuery = 8192;

/// What cookieCounts() asks of a request.
struct Asking {
  const Exchange &exchange;

  std::string_view header(std::string_view name) const { return exchange.header(name).value_or(std::string_view()); }
  std::string_view host() const { return header("host"); }
};

std::string_view schemeOf(const Exchange &exchange) {
  return exchange.header("x-forwarded-proto").value_or("http") == "https" ? "https" : "http";
}

bool isDocument(const Exchange &exchange) {
  const Asking asking{exchange};
  const std::string_view mode = asking.header("sec-fetch-mode"), target = asking.header("sec-fetch-dest");
  return (mode.empty() || mode == "navigate") && (target.empty() || target == "document");
}

void goTo(Exchange &exchange, const std::string &location, std::vector<std::pair<std::string, std::string>> fields) {
  fields.emplace_back("Location", location);
  fields.emplace_back("Cache-Control", "no-store");
  fields.emplace_back("Referrer-Policy", "no-referrer");
  exchange.respond(303, "", "", fields);
}

/// `forms`: where a form of a page may lead, also by redirects.
std::string policyFor(const std::string &forms) {
  return http::pagePolicy() + "; base-uri 'none'; form-action " + forms;
}

void show(Exchange &exchange, std::uint32_t status, std::string_view title, const std::string &main,
          const std::string &policy = policyFor("'self'")) {
  // The referrer stays on this host, as the daemon says by itself: without any, browsers hide where a form comes from.
  exchange.respond(status, kHtml, http::htmlPage(title, main),
                   {{"Content-Security-Policy", policy}, {"Cache-Control", "no-store"}});
}

std::string link(const std::string &target, std::string_view text) {
  return "<a href=\"" + http::escapeHtml(target) + "\">" + http::escapeHtml(text) + "</a>";
}

std::string message(std::string_view title, std::string_view text, const std::string &more = {}) {
  return "<h1>" + http::escapeHtml(title) + "</h1><p>" + http::escapeHtml(text) + "</p>" + more;
}

/// Of the parameters that ways back from providers have.
std::multimap<std::string, std::string> queryOf(const Exchange &exchange) {
  std::multimap<std::string, std::string> out;
  for (const char *name : {"state", "code", "iss", "error", "error_description", "session_state", "name"}) {
    const auto value = exchange.queryParam(name);
    if (value && value->size() <= kMostQuery) out.emplace(name, *value);
  }
  return out;
}

void answer(Exchange &exchange, const std::string &json) {
  exchange.respond(200, "application/json; charset=utf-8", json, {{"Cache-Control", "no-store"}});
}

} // namespace

SignInRoutes::SignInRoutes(const Hosts &hosts, Sessions &sessions, const Access &access, Codes &codes, SignIn &signIn,
                           bool development, ClerkFrontend clerk)
    : hosts_(hosts), sessions_(sessions), access_(access), codes_(codes), signIn_(signIn), development_(development),
      clerk_(std::move(clerk)) {}

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
  if (!development_) return;
  routes.add(
      "GET", std::string("//console") + DevelopmentProvider::kPath, MOS_PERMISSION_PUBLIC,
      "Asks for a name, with mode=none",
      [this](Exchange &exchange) {
        const OurHost at = hostOf(exchange);
        const std::string state(exchange.queryParam("state").value_or(""));
        // Browsers hold the redirects after a form to this, and they lead to instances' hosts.
        show(exchange, 200, "Sign in", DevelopmentProvider::form(state), policyFor("'self' " + at.origin("*")));
      },
      0);
}

OurHost SignInRoutes::hostOf(const Exchange &exchange) const {
  const auto at = hosts_.parse(exchange.header("host").value_or(""), schemeOf(exchange));
  if (!at || at->label != kConsole) throw Error(Status::NotFound, "people sign in on the console's host", "NO_ROUTE");
  return *at;
}

std::string SignInRoutes::cookieOf(const Exchange &exchange, CookieKind kind, const OurHost &at) {
  std::string found;
  anyCookie(exchange.header("cookie").value_or(""), cookieName(kind, at.plain), [&](std::string_view value) {
    if (isId(value)) found = value;
    return !found.empty();
  });
  return found;
}

std::optional<SessionView> SignInRoutes::sessionOf(const Exchange &exchange, const OurHost &at) const {
  return sessions_.table().find(cookieOf(exchange, CookieKind::Session, at), sessions_.now());
}

SessionView SignInRoutes::requireSession(const Exchange &exchange) const {
  const auto session = sessionOf(exchange, hostOf(exchange));
  if (!session) throw Error(Status::Unauthenticated, "nobody is signed in", "NOT_SIGNED_IN");
  return *session;
}

/// For what changes something and comes with a cookie.
void SignInRoutes::requireOwnPage(const Exchange &exchange, const OurHost &at) {
  if (!cookieCounts(Asking{exchange}, at.plain ? "http" : "https", false))
    throw Error(Status::PermissionDenied, "a page of another site may not do this", "FOREIGN_PAGE");
}

void SignInRoutes::home(Exchange &exchange) const {
  const OurHost at = hostOf(exchange);
  if (exchange.path() == "/") return goTo(exchange, "/auth", {});
  const auto session = sessionOf(exchange, at);
  if (!session) {
    return show(exchange, 200, "Sign in",
                message("You are not signed in", "Sign in to open your instance.",
                        link("/auth/login?return=/auth", "Sign in")));
  }
  const User &user = *session->user;
  std::string main = message("You are signed in", user.email().empty() ? user.id() : user.email());
  for (const auto &[handle, role] : access_.ofUser(user))
    main += "<p>" + link(at.origin(handle) + "/", handle) + "</p>";
  main += "<form method=\"post\" action=\"/auth/logout\"><footer><button>Sign out everywhere in this "
          "browser</button></footer></form>";
  show(exchange, 200, "Signed in", main);
}

void SignInRoutes::login(Exchange &exchange) const {
  const OurHost at = hostOf(exchange);
  if (!isDocument(exchange)) throw Error(Status::PermissionDenied, "signing in takes a tab of its own", "NO_DOCUMENT");
  std::string returnTo = hosts_.safeReturn(exchange.queryParam("return").value_or("/"), at);
  if (sessionOf(exchange, at)) return goTo(exchange, returnTo, {});
  if (!clerk_.host.empty())
    return show(exchange, 200, "Sign in", ClerkPage::main(clerk_, returnTo), ClerkPage::policy(clerk_));
  try {
    const auto begun = signIn_.begin(at, cookieOf(exchange, CookieKind::SignIn, at), std::move(returnTo));
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
  if (const auto before = sessionOf(exchange, at)) sessions_.end(before->digest);
}

void SignInRoutes::callback(Exchange &exchange) const {
  const OurHost at = hostOf(exchange);
  try {
    const auto done = signIn_.finish(at, cookieOf(exchange, CookieKind::SignIn, at), queryOf(exchange));
    endPrevious(exchange, at);
    goTo(exchange, done.returnTo, {{"Set-Cookie", signedInCookie(at, done.cookie)}});
  } catch (const Error &error) {
    show(exchange, static_cast<std::uint32_t>(httpStatus(error.status())), "Sign-in failed",
         message("You are not signed in", error.what(), link("/auth/login", "Try again")));
  }
}

void SignInRoutes::clerk(Exchange &exchange) const {
  const OurHost at = hostOf(exchange);
  requireOwnPage(exchange, at);
  // A form of another site cannot send this type without asking first, old browsers included.
  if (exchange.header("content-type").value_or("").substr(0, 16) != "application/json")
    throw Error(Status::InvalidArgument, "send {\"token\"} as application/json", "BAD_TYPE");
  const std::string cookie = signIn_.redeem(json::getString(*json::parseObject(exchange.body()), "token"));
  endPrevious(exchange, at);
  exchange.respond(200, "application/json; charset=utf-8", R"({"ok":true})",
                   {{"Set-Cookie", signedInCookie(at, cookie)}, {"Cache-Control", "no-store"}});
}

void SignInRoutes::authorize(Exchange &exchange) const {
  const OurHost at = hostOf(exchange);
  if (!isDocument(exchange)) throw Error(Status::PermissionDenied, "signing in takes a tab of its own", "NO_DOCUMENT");
  const std::string host(exchange.queryParam("host").value_or(""));
  const std::string nonce(exchange.queryParam("nonce").value_or(""));
  const std::string back(exchange.queryParam("return").value_or("/"));
  const auto to = hosts_.parse(host, at.plain ? "http" : "https");
  // Whole, as the policy writes it: nothing is sent to a host that only begins or ends like one of ours.
  if (!to || host != at.name(to->label) || !isHandle(to->label) || !isId(nonce))
    return show(exchange, 400, "Not found",
                message("This link leads nowhere", "It names no instance of this platform."));
  const auto session = sessionOf(exchange, at);
  if (!session) {
    const std::string again = "/auth/authorize?host=" + http::percentEncode(host) + "&nonce=" + nonce +
                              "&return=" + http::percentEncode(Hosts::isPath(back) ? back : "/");
    return goTo(exchange, "/auth/login?return=" + http::percentEncode(again), {});
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
  goTo(exchange, at.origin(to->label) + "/.matrixos/auth?code=" + code, {});
}

void SignInRoutes::logout(Exchange &exchange) const {
  const OurHost at = hostOf(exchange);
  requireOwnPage(exchange, at);
  endPrevious(exchange, at);
  const std::string gone = setCookie(CookieKind::Session, at.plain, "", 0);
  if (exchange.header("accept").value_or("").find("text/html") != std::string_view::npos)
    return goTo(exchange, "/auth", {{"Set-Cookie", gone}});
  exchange.respond(200, "application/json; charset=utf-8", R"({"ok":true})",
                   {{"Set-Cookie", gone}, {"Cache-Control", "no-store"}});
}

void SignInRoutes::me(Exchange &exchange) const {
  const SessionView session = requireSession(exchange);
  const User &user = *session.user;
  JsonObject person;
  person.add("id", user.id()).add("email", user.email()).add("name", user.name());
  JsonArray roles;
  roles.add("\"user\"");
  if (!user.operatorBy().empty()) roles.add("\"operator\"");
  JsonArray instances;
  for (const auto &[handle, role] : access_.ofUser(user)) {
    JsonObject instance;
    instance.add("handle", handle).add("role", roleWord(role));
    instances.add(std::move(instance).str());
  }
  JsonObject out;
  out.addRaw("user", std::move(person).str()).addRaw("roles", std::move(roles).str());
  out.addRaw("instances", std::move(instances).str()).addRaw("session", SessionRoutes::toJson(session, false));
  answer(exchange, std::move(out).str());
}

void SignInRoutes::listOwn(Exchange &exchange) const {
  const SessionView session = requireSession(exchange);
  JsonArray out;
  for (const SessionView &own : sessions_.table().ofUser(session.user->id()))
    if (sessions_.table().isGood(own, sessions_.now())) out.add(SessionRoutes::toJson(own, false));
  answer(exchange, std::move(out).str());
}

void SignInRoutes::endOne(Exchange &exchange) const {
  const SessionView session = requireSession(exchange);
  requireOwnPage(exchange, hostOf(exchange));
  const auto own = sessions_.table().ofUser(session.user->id());
  const auto found = std::find_if(own.begin(), own.end(), [&](const SessionView &candidate) {
    return candidate.publicId() == exchange.param("id");
  });
  if (found == own.end()) throw Error(Status::NotFound, "you have no such session", "NO_SESSION");
  sessions_.end(found->digest);
  answer(exchange, R"({"ok":true})");
}

} // namespace matrixos::identity
