#include "Message.h"

#include "SocialApi.h"

#include <matrixos/handle.hpp>
#include <matrixos/json.hpp>
#include <matrixos/text/utf8.hpp>

#include <optional>

namespace matrixos::social {

namespace {

Error badField(const std::string &text) {
  return Error(Status::InvalidArgument, text, "BAD_FIELD");
}

/// A member of "from"; the message names it whole, since the receiver has a handle too.
std::optional<std::string> senderField(const json::Object &from, const std::string &key) {
  const json::Value value = from.get(key);
  if (!value.isEmpty() && !value.isString()) throw badField("\"from." + key + "\" has to be a string");
  return json::findString(from, key);
}

} // namespace

Message canonicalMessage(std::string_view body, std::string_view sender) {
  const json::Object::Ptr object = json::parseObject(body);
  const std::string text = json::getString(*object, "text");
  if (text.empty() || text.size() > SocialApi::kMaxText) throw badField("\"text\" has to have 1 to 16384 bytes");
  json::Object::Ptr from = json::findObject(*object, "from");
  if (!from && !sender.empty()) from = new json::Object;
  if (!from) throw badField("\"from\" is missing; it has to be an object like {\"handle\": …}");
  const std::string handle = sender.empty() ? senderField(*from, "handle").value_or("") : std::string(sender);
  if (handle.empty()) throw badField("\"from.handle\" is missing; it has to be a string");
  if (!isHandle(handle)) throw badField("\"from.handle\" is no handle");
  const auto displayName = senderField(*from, "displayName");
  if (displayName && countCharacters(*displayName) > SocialApi::kMaxDisplayName) {
    throw badField("\"from.displayName\" may have at most 128 characters");
  }
  json::Object::Ptr cleanFrom = json::object({{"handle", handle}});
  if (displayName) cleanFrom->set("displayName", *displayName);
  return {handle, json::dump(json::object({{"text", text}, {"from", cleanFrom}}))};
}

} // namespace matrixos::social
