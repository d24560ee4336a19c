#include "Diary.h"

#include <matrixos/json_text.hpp>
#include <matrixos/text/utf8.hpp>

#include <string>

namespace matrixos::identity {

namespace {

constexpr std::size_t kMostText = 256; // of a message, which may quote a provider

JsonObject eventOf(const char *action, const Exchange &exchange, std::string_view userId, const char *kind) {
  JsonObject event;
  event.add("action", action).add("source", "identity").add("kind", kind);
  if (!userId.empty()) event.add("principal", "user:" + std::string(userId));
  if (!exchange.client().empty()) event.add("address", exchange.client());
  event.add("requestId", exchange.requestId());
  return event;
}

const char *kindOf(const User &user) {
  return user.operatorBy().empty() ? "user" : "operator";
}

} // namespace

void Diary::signedIn(const Exchange &exchange, const User &user, std::string_view way) const {
  JsonObject given;
  given.add("way", way);
  keep(std::move(eventOf("sign-in", exchange, user.id(), kindOf(user)).addRaw("given", std::move(given).str())).str());
}

void Diary::refused(const Exchange &exchange, std::string_view userId, std::string_view way, const Error &why) const {
  JsonObject given;
  given.add("way", way).add("why", cutUtf8(cleanUtf8(why.what()), kMostText));
  JsonObject event = eventOf("sign-in", exchange, User::isWord(userId) ? userId : std::string_view(), "public");
  event.add("reason", why.reason().empty() ? "REFUSED" : why.reason());
  keep(std::move(event.addRaw("given", std::move(given).str())).str());
}

void Diary::decided(const Exchange &exchange, const User &user, const DeviceFlow::Asking &program, bool isLetIn) const {
  JsonObject target;
  target.add("client", program.client).add("address", program.address);
  JsonObject event = eventOf(isLetIn ? "program let in" : "program refused", exchange, user.id(), kindOf(user));
  keep(std::move(event.addRaw("target", std::move(target).str())).str());
}

void Diary::signedOut(const Exchange &exchange, const User &user) const {
  const std::string event = eventOf("sign-out", exchange, user.id(), kindOf(user)).str();
  if (!logs_.note(event)) log_.warning("a sign-out is not in the audit log", {{"userId", user.id()}});
}

void Diary::keep(std::string_view event) const {
  if (!logs_.record(event)) log_.warning("what happened is not in the audit log, or not yet", {{"event", event}});
}

} // namespace matrixos::identity
