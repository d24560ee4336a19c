#include "SessionViews.h"

#include <matrixos/identity.hpp>
#include <matrixos/json_text.hpp>
#include <matrixos/status.hpp>
#include <matrixos/text/time.hpp>

#include <algorithm>

namespace matrixos::identity {

std::string toJson(const SessionView &session, bool user) {
  JsonObject out;
  out.add("id", session.publicId());
  if (user) out.add("userId", session.user->id()).add("email", session.user->email());
  out.add("createdAt", formatTime(session.createdAt)).add("expiresAt", formatTime(session.expiresAt));
  out.add("usedAt", formatTime(session.usedAt)).add("kind", session.user->byProgram() ? "program" : "browser");
  return std::move(out).str();
}

std::string sessionsJson(const Sessions &sessions, std::string_view userId) {
  JsonArray out;
  for (const SessionView &own : sessions.table().ofUser(userId))
    if (sessions.table().isGood(own, sessions.now())) out.add(toJson(own, false));
  return std::move(out).str();
}

std::string meJson(const SessionView &session, const Access &access) {
  const User &user = *session.user;
  JsonObject person;
  person.add("id", user.id()).add("email", user.email()).add("name", user.name());
  JsonArray roles;
  roles.add("\"user\"");
  if (!user.operatorBy().empty()) roles.add("\"operator\"");
  JsonArray instances;
  for (const auto &[handle, role] : access.ofUser(user)) {
    JsonObject instance;
    instance.add("handle", handle).add("role", roleWord(role));
    instances.add(std::move(instance).str());
  }
  JsonObject out;
  out.addRaw("user", std::move(person).str()).addRaw("roles", std::move(roles).str());
  out.addRaw("instances", std::move(instances).str()).addRaw("session", toJson(session, false));
  return std::move(out).str();
}

void endSession(Sessions &sessions, std::string_view id, std::string_view userId) {
  const auto all = userId.empty() ? sessions.table().all() : sessions.table().ofUser(userId);
  const auto found = std::find_if(all.begin(), all.end(), [&](const SessionView &one) { return one.publicId() == id; });
  if (found == all.end() || !sessions.end(found->digest))
    throw Error(Status::NotFound, "there is no such session", "NO_SESSION");
}

} // namespace matrixos::identity
