#include "SessionRoutes.h"

#include <matrixos/json_text.hpp>
#include <matrixos/text/time.hpp>

#include <algorithm>

namespace matrixos::identity {

std::string SessionRoutes::toJson(const SessionView &session, bool user) {
  JsonObject out;
  out.add("id", session.publicId());
  if (user) out.add("userId", session.user->id()).add("email", session.user->email());
  out.add("createdAt", formatTime(session.createdAt)).add("expiresAt", formatTime(session.expiresAt));
  out.add("usedAt", formatTime(session.usedAt));
  return std::move(out).str();
}

void SessionRoutes::addTo(Routes &routes) {
  routes.add(
      "GET", "/auth/sessions", "operator:users:read", "Who is signed in, of ?user alone or everybody",
      [this](Exchange &exchange) { list(exchange); }, 0);
  routes.add(
      "DELETE", "/auth/sessions", "operator:users:write", "Signs ?user out everywhere",
      [this](Exchange &exchange) { endAll(exchange); }, 0);
  routes.add(
      "DELETE", "/auth/sessions/:id", "operator:users:write", "Ends a session",
      [this](Exchange &exchange) { endOne(exchange); }, 0);
}

void SessionRoutes::list(Exchange &exchange) const {
  const auto user = exchange.queryParam("user");
  std::vector<SessionView> found = user ? sessions_.table().ofUser(*user) : sessions_.table().all();
  std::erase_if(found, [&](const auto &session) { return !sessions_.table().isGood(session, sessions_.now()); });
  std::sort(found.begin(), found.end(), [](const auto &a, const auto &b) { return a.createdAt > b.createdAt; });
  found.resize(std::min(found.size(), kMostListed));
  JsonArray out;
  for (const SessionView &session : found)
    out.add(toJson(session, true));
  exchange.json(200, std::move(out).str());
}

void SessionRoutes::endOne(Exchange &exchange) const {
  const std::string_view id = exchange.param("id");
  const std::vector<SessionView> all = sessions_.table().all();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const auto &session) { return session.publicId() == id; });
  if (found == all.end() || !sessions_.end(found->digest))
    throw Error(Status::NotFound, "there is no such session", "NO_SESSION");
  exchange.json(200, R"({"ok":true})");
}

void SessionRoutes::endAll(Exchange &exchange) const {
  const auto user = exchange.queryParam("user");
  if (!user || user->empty()) throw Error(Status::InvalidArgument, "?user has to name one", "BAD_FIELD");
  exchange.json(200, R"({"ended":)" + std::to_string(sessions_.endAll(*user)) + "}");
}

} // namespace matrixos::identity
