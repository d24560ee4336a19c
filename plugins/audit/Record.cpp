#include "Record.h"

#include <matrixos/abi/audit.h>
#include <matrixos/handle.hpp>
#include <matrixos/json.hpp>
#include <matrixos/json_text.hpp>
#include <matrixos/text/time.hpp>

#include <Poco/DigestEngine.h>
#include <Poco/SHA2Engine.h>

#include <algorithm>
#include <array>

namespace matrixos::audit {

namespace {

constexpr std::array<std::string_view, 7> kTexts{"source", "kind", "address", "requestId", "reason", "before", "after"};
constexpr std::size_t kMostMembers = 16;

Error bad(const std::string &what) {
  return Error(Status::InvalidArgument, "the event " + what, "BAD_EVENT");
}

bool isPlain(std::string_view text) noexcept {
  return std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; });
}

std::string textOf(const std::string &name, const json::Value &value) {
  if (!value.isString()) throw bad("has \"" + name + "\", which is no text");
  std::string text = value.convert<std::string>();
  if (text.size() > MOS_AUDIT_TEXT_SIZE) throw bad("has a \"" + name + "\" of more than 512 bytes");
  return text;
}

void checkTexts(const std::string &name, const json::Value &value) {
  if (value.type() != typeid(json::Object::Ptr)) throw bad("has \"" + name + "\", which is no object");
  const auto object = value.extract<json::Object::Ptr>();
  if (object->size() > kMostMembers) throw bad("has more than 16 members in \"" + name + "\"");
  for (const auto &[key, item] : *object) {
    if (key.size() > MOS_AUDIT_TEXT_SIZE) throw bad("has a long name in \"" + name + "\"");
    textOf(name + "." + key, item);
  }
}

void checkOther(const std::string &name, const json::Value &value) {
  if (name == "target" || name == "given") return checkTexts(name, value);
  if (name == "status") {
    if (!value.isInteger() || value.isBoolean()) throw bad("has a \"status\" that is no number");
    return;
  }
  if (std::find(kTexts.begin(), kTexts.end(), name) == kTexts.end()) throw bad("has \"" + name + "\", which none has");
  textOf(name, value);
}

/// Of a record's own columns.
std::string takeColumn(json::Object &object, const char *name) {
  if (!object.has(name)) return {};
  std::string text = textOf(name, object.get(name));
  if (!isPlain(text)) throw bad(std::string("has control characters in \"") + name + "\"");
  object.remove(name);
  return text;
}

} // namespace

Record readEvent(std::string_view text, std::int64_t atMs) {
  if (text.size() > MOS_AUDIT_EVENT_SIZE) throw bad("has more than 16384 bytes");
  json::Object::Ptr object = json::parseObject(text);
  Record record;
  record.at = formatTime(atMs);
  record.action = takeColumn(*object, "action");
  record.principal = takeColumn(*object, "principal");
  record.handle = takeColumn(*object, "handle");
  if (record.action.empty()) throw bad("has no \"action\"");
  if (!record.handle.empty() && !isHandle(record.handle)) throw bad("has a \"handle\" that is none");
  for (const auto &[name, value] : *object)
    checkOther(name, value);
  record.event = json::dump(*object);
  return record;
}

Record ownEvent(std::string_view action, const std::vector<std::pair<const char *, std::string>> &given,
                std::int64_t atMs) {
  Record record;
  record.at = formatTime(atMs);
  record.action = action;
  JsonObject texts;
  for (const auto &[name, text] : given)
    texts.add(name, text);
  JsonObject event;
  record.event = std::move(event.add("source", kSource).addRaw("given", std::move(texts).str())).str();
  return record;
}

std::string givenText(const Record &record, const std::string &name) {
  try {
    const json::Object::Ptr given = json::findObject(*json::parseObject(record.event), "given");
    return given ? json::findString(*given, name).value_or("") : "";
  } catch (const Error &) { // somebody has changed it
    return {};
  }
}

std::string chainHash(const std::string &before, std::int64_t seq, const Record &record) {
  Poco::SHA2Engine engine(Poco::SHA2Engine::SHA_256);
  for (const std::string &part :
       {before, std::to_string(seq), record.at, record.principal, record.handle, record.action}) {
    engine.update(part);
    engine.update("\n");
  }
  engine.update(record.event);
  return Poco::DigestEngine::digestToHex(engine.digest());
}

Row chain(const Link &before, std::int64_t seq, Record record) {
  std::string hash = chainHash(before.hash, seq, record);
  return {std::move(record), {seq, std::move(hash)}};
}

std::string shownJson(const Row &row) {
  JsonObject object(row.record.event.size() + 256);
  object.add("seq", row.link.seq).add("time", row.record.at).add("action", row.record.action);
  if (!row.record.principal.empty()) object.add("principal", row.record.principal);
  if (!row.record.handle.empty()) object.add("handle", row.record.handle);
  object.add("hash", row.link.hash);
  std::string text = std::move(object).str();
  const std::string_view event = row.record.event;
  if (event.size() > 2 && event.front() == '{') text.replace(text.size() - 1, 1, "," + std::string(event.substr(1)));
  return text;
}

std::string exportedJson(const Row &row) {
  JsonObject object(row.record.event.size() + 512);
  object.add("seq", row.link.seq).add("time", row.record.at).add("principal", row.record.principal);
  object.add("handle", row.record.handle).add("action", row.record.action).add("event", row.record.event);
  return std::move(object.add("hash", row.link.hash)).str();
}

} // namespace matrixos::audit
