#include "SessionRoutes.h"

#include "Pages.h"
#include "SessionViews.h"

#include <matrixos/caller.hpp>
#include <matrixos/json_text.hpp>

#include <algorithm>

namespace matrixos::identity {

namespace {

/// Whose sessions a caller may see and end: a user's own, and for an operator those of ?user, or, where that is
/// missing, everybody's: "".
std::string whoseOf(const Exchange &exchange) {
  const Caller caller = Caller::of(exchange);
  return caller.kind == Caller::Kind::User ? std::string(caller.name())
                                           : std::string(exchange.queryParam("user").value_or(""));
}

} // namespace

void SessionRoutes::addTo(Routes &routes) {
  routes.add(
      "GET", "/auth/me", MOS_PERMISSION_SIGNED_IN, "Who asks, with what is his",
      [this](Exchange &exchange) { me(exchange); }, 0);
  routes.add(
      "POST", "/auth/logout", MOS_PERMISSION_SIGNED_IN, "Ends the sign-in that asks",
      [this](Exchange &exchange) { logout(exchange); }, 0);
  routes.add(
      "GET", "/auth/sessions", "signed-in|operator:users:read",
      "One's sessions; for operators those of ?user or everybody's", [this](Exchange &exchange) { list(exchange); }, 0);
  routes.add(
      "DELETE", "/auth/sessions", "signed-in|operator:users:write", "Signs one out everywhere; operators say ?user",
      [this](Exchange &exchange) { endAll(exchange); }, 0);
  routes.add(
      "DELETE", "/auth/sessions/:id", "signed-in|operator:users:write", "Ends a session",
      [this](Exchange &exchange) {
        const Caller caller = Caller::of(exchange);
        const bool isUser = caller.kind == Caller::Kind::User;
        endSession(sessions_, exchange.param("id"), isUser ? caller.name() : std::string_view());
        exchange.json(200, R"({"ok":true})");
      },
      0);
}

/// That of a program's token, or, below /api of the console's host, of the browser.
std::optional<SessionView> SessionRoutes::sessionOf(const Exchange &exchange) const {
  if (auto session = sessions_.ofToken(exchange.header("authorization").value_or(""))) return session;
  const auto at = console_.hosts().parse(exchange.header("host").value_or(""), schemeOf(exchange));
  return at && at->label == kConsole ? console_.sessionOf(exchange, *at) : std::nullopt;
}

void SessionRoutes::me(Exchange &exchange) const {
  if (const auto session = sessionOf(exchange)) return answer(exchange, meJson(*session, access_));
  // An operator without a session: the platform's secret, the admin socket, an API token.
  const Caller caller = Caller::of(exchange);
  JsonObject person;
  person.add("id", caller.id).add("email", "").add("name", "");
  JsonObject out;
  out.addRaw("user", std::move(person).str());
  out.addRaw("roles", caller.kind == Caller::Kind::Operator ? R"(["operator"])" : R"(["user"])");
  answer(exchange, std::move(out.addRaw("instances", "[]").add("scopes", caller.scopes)).str());
}

void SessionRoutes::logout(Exchange &exchange) const {
  const auto session = sessionOf(exchange);
  if (!session) throw Error(Status::NotFound, "who asks has not signed in: there is nothing to end", "NO_SESSION");
  sessions_.end(session->digest);
  exchange.json(200, R"({"ok":true})");
}

void SessionRoutes::list(Exchange &exchange) const {
  const std::string user = whoseOf(exchange);
  if (Caller::of(exchange).kind == Caller::Kind::User) return answer(exchange, sessionsJson(sessions_, user));
  std::vector<SessionView> found = user.empty() ? sessions_.table().all() : sessions_.table().ofUser(user);
  std::erase_if(found, [&](const auto &session) { return !sessions_.table().isGood(session, sessions_.now()); });
  std::sort(found.begin(), found.end(), [](const auto &a, const auto &b) { return a.createdAt > b.createdAt; });
  found.resize(std::min(found.size(), kMostListed));
  JsonArray out;
  for (const SessionView &session : found)
    out.add(toJson(session, true));
  exchange.json(200, std::move(out).str());
}

void SessionRoutes::endAll(Exchange &exchange) const {
  const std::string user = whoseOf(exchange);
  if (user.empty()) throw Error(Status::InvalidArgument, "?user has to name one", "BAD_FIELD");
  exchange.json(200, R"({"ended":)" + std::to_string(sessions_.endAll(user)) + "}");
}

} // namespace matrixos::identity
