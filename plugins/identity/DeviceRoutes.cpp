#include "DeviceRoutes.h"

#include "Pages.h"
#include "oidc/Encoding.h"

#include <matrixos/json_text.hpp>
#include <matrixos/text/time.hpp>

#include <http/client/PercentEncoding.h>
#include <http/codec/Grammar.h>
#include <http/pages/Page.h>

#include <map>
#include <optional>

namespace matrixos::identity {

namespace {

using Form = std::multimap<std::string, std::string>;

constexpr std::string_view kGrant = "urn:ietf:params:oauth:grant-type:device_code";
constexpr const char *kPage = "/auth/device";
constexpr std::size_t kMostClient = 64;
constexpr std::uint64_t kMostBody = 4096;

/// What RFC 6749 §5.2 answers with.
struct Refusal {
  const char *error;
  const char *description;
};

void say(Exchange &exchange, std::uint32_t status, const std::string &json) {
  exchange.respond(status, "application/json; charset=utf-8", json,
                   {{"Cache-Control", "no-store"}, {"Pragma", "no-cache"}});
}

void refuse(Exchange &exchange, const Refusal &refusal) {
  JsonObject out;
  out.add("error", refusal.error).add("error_description", refusal.description);
  say(exchange, 400, std::move(out).str());
}

/// Throws Refusal for what is no form.
Form formOf(const Exchange &exchange) {
  constexpr std::string_view kType = "application/x-www-form-urlencoded";
  if (exchange.body().empty()) return {};
  const std::string_view type = exchange.header("content-type").value_or("");
  const auto form = formDecode(exchange.body());
  if (!form || !http::sameAsLower(http::trim(type.substr(0, type.find(';'))), kType))
    throw Refusal{"invalid_request", "send a form: application/x-www-form-urlencoded"};
  return *form;
}

/// Empty where it is missing (RFC 6749 §3.2). Throws Refusal where it comes twice.
std::string parameter(const Form &form, const char *name) {
  if (form.count(name) > 1) throw Refusal{"invalid_request", "a parameter comes twice"};
  const auto found = form.find(name);
  return found == form.end() ? std::string() : found->second;
}

std::string clientOf(const Form &form) {
  std::string client = parameter(form, "client_id");
  if (client.size() > kMostClient || (!client.empty() && !http::isTarget(client)))
    throw Refusal{"invalid_client", "client_id has to be one word of at most 64 characters"};
  return client;
}

Error takesTab() {
  return {Status::PermissionDenied, "letting a program in takes a tab of its own", "NO_DOCUMENT"};
}

void requireNoFrame(const Exchange &exchange) {
  const std::string_view target = exchange.header("sec-fetch-dest").value_or("");
  if (!target.empty() && target != "document" && target != "empty") throw takesTab();
}

std::string entryForm() {
  return "<form action=\"" + std::string(kPage) +
         "\"><p><label>Code <input name=\"user_code\" required autofocus autocomplete=\"off\" "
         "autocapitalize=\"characters\" maxlength=\"16\" placeholder=\"WDJB-MJHT\"></label> <button>Go "
         "on</button></p></form>";
}

void showUnknown(Exchange &exchange) {
  show(exchange, 404, "No such code",
       message("Nobody asks with this code", "It was mistyped, is used up, or older than ten minutes.", entryForm()));
}

/// Calls answer(); says so where it throws that there were too many guesses.
template <typename Answer>
void unlessGuessing(Exchange &exchange, Answer &&answer) {
  try {
    answer();
  } catch (const Error &error) {
    if (error.reason() != DeviceFlow::kTooManyGuesses) throw;
    show(exchange, 429, "Too many codes", message("Too many codes", error.what()), policyFor("'self'"),
         {{"Retry-After", std::to_string(error.retryAfterMs() / 1000)}});
  }
}

} // namespace

void DeviceRoutes::addTo(Routes &routes) {
  constexpr const char *kPublic = MOS_PERMISSION_PUBLIC;
  const auto oauth = [this](void (DeviceRoutes::*handler)(Exchange &) const) {
    return [this, handler](Exchange &exchange) {
      try {
        (this->*handler)(exchange);
      } catch (const Refusal &refusal) {
        refuse(exchange, refusal);
      }
    };
  };
  for (const std::string site : {"", "//console"}) {
    routes.add("POST", site + kPage, kPublic, "Begins the sign-in of a program (RFC 8628)", oauth(&DeviceRoutes::begin),
               kMostBody);
    routes.add("POST", site + kPage + "/token", kPublic, "Asks what became of the sign-in of a program",
               oauth(&DeviceRoutes::token), kMostBody);
  }
  routes.add(
      "GET", std::string("//console") + kPage, kPublic, "Asks whether to let a program in, for people",
      [this](Exchange &exchange) { unlessGuessing(exchange, [&] { ask(exchange); }); }, 0);
  routes.add(
      "POST", std::string("//console") + kPage + "/approve", MOS_PERMISSION_SIGNED_IN, "Lets a program in, or does not",
      [decide = oauth(&DeviceRoutes::decide)](Exchange &exchange) {
        unlessGuessing(exchange, [&] { decide(exchange); });
      },
      kMostBody);
}

void DeviceRoutes::begin(Exchange &exchange) const {
  const Form form = formOf(exchange);
  const std::string client = clientOf(form);
  if (!parameter(form, "scope").empty())
    throw Refusal{"invalid_scope", "a program may do what its user may; there are no scopes"};
  const auto at = console_.hosts().consoleBy(exchange.header("host").value_or(""), schemeOf(exchange));
  if (!at) throw Refusal{"invalid_request", "ask on one of the platform's own hosts"};
  const auto begun = flow_.begin(client, std::string(exchange.client()));
  const std::string page = at->origin(kConsole) + kPage;
  JsonObject out;
  out.add("device_code", begun.deviceCode).add("user_code", begun.userCode).add("verification_uri", page);
  out.add("verification_uri_complete", page + "?user_code=" + begun.userCode);
  out.add("expires_in", DeviceFlow::kTtlMs / 1000).add("interval", DeviceFlow::kIntervalMs / 1000);
  say(exchange, 200, std::move(out).str());
}

void DeviceRoutes::token(Exchange &exchange) const {
  const Form form = formOf(exchange);
  const std::string grant = parameter(form, "grant_type"), code = parameter(form, "device_code");
  const std::string client = clientOf(form);
  if (grant.empty()) throw Refusal{"invalid_request", "grant_type is missing"};
  if (grant != kGrant) throw Refusal{"unsupported_grant_type", "there are device codes alone"};
  if (code.empty()) throw Refusal{"invalid_request", "device_code is missing"};
  give(exchange, code, flow_.poll(code, client));
}

/// Empty when whoever let it in has signed out meanwhile. Where it fails, the program may ask once more.
std::string DeviceRoutes::tokenFor(const std::string &deviceCode, const Digest &signIn) const {
  try {
    std::string token = sessions_.beginProgram(signIn);
    flow_.done(deviceCode);
    return token;
  } catch (...) {
    flow_.putBack(deviceCode);
    throw;
  }
}

void DeviceRoutes::give(Exchange &exchange, const std::string &deviceCode, const DeviceFlow::Polled &polled) const {
  using Answer = DeviceFlow::Answer;
  switch (polled.answer) {
  case Answer::Waiting:
    throw Refusal{"authorization_pending", "nobody has answered yet"};
  case Answer::TooSoon:
    throw Refusal{"slow_down", "ask five seconds later than so far"};
  case Answer::Expired:
    throw Refusal{"expired_token", "nobody has answered in time; begin again"};
  case Answer::Unknown:
    throw Refusal{"invalid_grant", "this code is unknown, used up, or another client's"};
  case Answer::Denied:
    break;
  case Answer::Allowed: {
    const std::string token = tokenFor(deviceCode, polled.signIn);
    const auto session = token.empty() ? std::nullopt : sessions_.table().find(Digest::of(token), sessions_.now());
    if (!session) break;
    diary_.signedIn(exchange, *session->user, "program");
    JsonObject out;
    out.add("access_token", token).add("token_type", "Bearer");
    out.add("expires_in", (session->expiresAt - sessions_.now()) / 1000);
    return say(exchange, 200, std::move(out).str());
  }
  }
  throw Refusal{"access_denied", "the program was not let in"};
}

void DeviceRoutes::ask(Exchange &exchange) const {
  const OurHost at = console_.of(exchange);
  // Pages of others cannot spend the user's guesses, but by a tab that shows it.
  if (!isDocument(exchange)) throw takesTab();
  const std::string code(exchange.queryParam("user_code").value_or(""));
  const auto session = console_.sessionOf(exchange, at);
  if (!session) {
    const std::string here = kPage + (code.empty() ? "" : "?user_code=" + http::percentEncode(code));
    return goTo(exchange, "/auth/login?return=" + http::percentEncode(here));
  }
  if (code.empty())
    return show(exchange, 200, "Let a program in",
                message("Let a program in", "Which code does it show?", entryForm()));
  const User &user = *session->user;
  const auto asking = flow_.find(code, user.id());
  if (!asking) return showUnknown(exchange);
  const std::string from = asking->address.empty() ? "this machine" : asking->address;
  show(exchange, 200, "Let a program in",
       message("Let a program in?",
               "A program at " + from + " asked at " + formatTime(asking->at) + " to act as " +
                   std::string(user.email().empty() ? user.id() : user.email()) +
                   ", with all your rights. Allow it only if you started it yourself and it shows this code:",
               "<p><strong>" + asking->userCode + "</strong></p><form method=\"post\" action=\"" + std::string(kPage) +
                   "/approve\"><input type=\"hidden\" name=\"user_code\" value=\"" + asking->userCode +
                   "\"><footer><button>Let it in</button> <button name=\"decision\" value=\"deny\">Refuse"
                   "</button></footer></form>"));
}

void DeviceRoutes::decide(Exchange &exchange) const {
  const OurHost at = console_.of(exchange);
  ConsoleHost::requireOwnPage(exchange, at);
  requireNoFrame(exchange);
  const SessionView session = console_.requireSession(exchange);
  const Form form = formOf(exchange);
  const bool allow = parameter(form, "decision") != "deny";
  const auto asking = flow_.decide(parameter(form, "user_code"), session.user->id(), session.digest, allow);
  if (!asking) return showUnknown(exchange);
  diary_.decided(exchange, *session.user, *asking, allow);
  if (!allow) return show(exchange, 200, "Refused", message("Refused", "The program is not let in."));
  show(exchange, 200, "Let in",
       message("The program may come in",
               "You can close this page and go back to the program: it is in when it asks next. It has access until it "
               "signs out, you sign out in this browser, or " +
                   formatTime(session.expiresAt) + ".",
               link("/auth", "Who is signed in")));
}

} // namespace matrixos::identity
