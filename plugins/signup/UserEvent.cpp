#include "UserEvent.h"

#include <matrixos/json.hpp>

namespace matrixos::signup {

namespace {

constexpr std::size_t kMaxText = 320; // of an address, RFC 3696 errata 1690; more of a name helps nobody

/// "" where it is no string, or too long to be what it should be.
std::string textOf(const json::Object &object, const std::string &key) {
  const json::Value value = object.get(key);
  if (value.isEmpty() || !value.isString()) return {};
  std::string text = value.convert<std::string>();
  return text.size() > kMaxText ? std::string() : text;
}

/// The primary address, else the first.
std::string addressOf(const json::Object &user) {
  const json::Value list = user.get("email_addresses");
  if (list.isEmpty() || list.type() != typeid(json::Array::Ptr)) return {};
  const auto &items = *list.extract<json::Array::Ptr>();
  const std::string primary = textOf(user, "primary_email_address_id");
  std::string found;
  for (unsigned i = 0; i < items.size(); ++i) {
    const json::Object::Ptr item = items.getObject(i);
    if (!item) continue;
    const std::string address = textOf(*item, "email_address");
    if (!isAddress(address)) continue;
    if (!primary.empty() && textOf(*item, "id") == primary) return address;
    if (found.empty()) found = address;
  }
  return found;
}

std::int64_t timeOf(const json::Object &object, const std::string &key) {
  const json::Value value = object.get(key);
  return !value.isEmpty() && value.isInteger() && !value.isBoolean() ? value.convert<Poco::Int64>() : 0;
}

} // namespace

void checkUserId(std::string_view userId) {
  bool fits = !userId.empty() && userId.size() <= 128;
  for (const char c : userId)
    fits = fits && c >= ' ' && c <= '~';
  if (!fits)
    throw Error(Status::InvalidArgument, "a user's id has to be 1 to 128 printable ASCII characters", "BAD_USER_ID");
}

UserEvent readUserEvent(std::string_view body) {
  const json::Object::Ptr root = json::parseObject(body);
  UserEvent event;
  event.type = textOf(*root, "type");
  if (event.type == "user.created" || event.type == "user.updated") event.kind = UserEvent::Kind::Upsert;
  if (event.type == "user.deleted") event.kind = UserEvent::Kind::Deleted;
  if (event.kind == UserEvent::Kind::Other) return event;
  const json::Object::Ptr user = json::findObject(*root, "data");
  if (!user) throw Error(Status::InvalidArgument, "\"data\" is missing; it has to be the user", "BAD_FIELD");
  event.person.userId = json::getString(*user, "id");
  checkUserId(event.person.userId);
  if (event.kind == UserEvent::Kind::Deleted) return event;
  event.person.email = addressOf(*user);
  event.person.username = textOf(*user, "username");
  event.updatedAt = timeOf(*user, "updated_at");
  return event;
}

} // namespace matrixos::signup
