/// matrixos/json.hpp: reading JSON from strangers with Poco::JSON. Optional part of the SDK; it needs PocoJSON.
///
/// The helpers add what Poco leaves to the caller: a depth limit, UTF-8 validation, exact types instead of
/// conversions ("5" is no number), and messages that name the member and what it should be.
#pragma once

#include <matrixos/status.hpp>
#include <matrixos/text/utf8.hpp>

#include <Poco/Dynamic/Var.h>
#include <Poco/Exception.h>
#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>
#include <Poco/JSON/Stringifier.h>

#include <initializer_list>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

namespace matrixos {
inline namespace v1 {
namespace json {

using Object = Poco::JSON::Object;
using Array = Poco::JSON::Array;
using Value = Poco::Dynamic::Var;

/// Deeper documents are refused; nothing of ours nests deeper than 6.
constexpr unsigned kMaxDepth = 32;

/// The document's root, whatever it is. Throws Error(InvalidArgument) that says what is malformed.
inline Value parse(std::string_view text) {
  if (!isUtf8(text)) throw Error(Status::InvalidArgument, "the JSON text is not valid UTF-8", "BAD_JSON");
  try {
    Poco::JSON::Parser parser;
    parser.setDepth(kMaxDepth);
    return parser.parse(std::string(text));
  } catch (const Poco::Exception &e) {
    throw Error(Status::InvalidArgument, "malformed JSON: " + e.message(), "BAD_JSON");
  }
}

/// The document, which has to be an object.
inline Object::Ptr parseObject(std::string_view text) {
  const auto notAnObject = [] {
    return Error(Status::InvalidArgument, "the JSON document has to be an object, like {\"key\": …}", "BAD_JSON");
  };
  // Poco fails on a root that is a bare string, number or word with a sentence about its own stack.
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && text[first] != '{' && text[first] != '[') throw notAnObject();
  const Value value = parse(text);
  if (value.type() != typeid(Object::Ptr)) throw notAnObject();
  return value.extract<Object::Ptr>();
}

inline Error badField(const std::string &key, const char *what) {
  return Error(Status::InvalidArgument, "\"" + key + "\" has to be " + what, "BAD_FIELD");
}

/// A member that is a string; nothing when it is absent or null. Throws when it has another type.
inline std::optional<std::string> findString(const Object &object, const std::string &key) {
  const Value value = object.get(key);
  if (value.isEmpty()) return std::nullopt;
  if (!value.isString()) throw badField(key, "a string");
  return value.convert<std::string>();
}

/// A member that has to be there and be a string.
inline std::string getString(const Object &object, const std::string &key) {
  auto value = findString(object, key);
  if (!value) throw Error(Status::InvalidArgument, "\"" + key + "\" is missing; it has to be a string", "BAD_FIELD");
  return *std::move(value);
}

/// A member that is a whole number; `fallback` when it is absent or null.
inline std::int64_t getInt(const Object &object, const std::string &key, std::int64_t fallback) {
  const Value value = object.get(key);
  if (value.isEmpty()) return fallback;
  if (!value.isInteger() || value.isBoolean()) throw badField(key, "a whole number");
  return value.convert<Poco::Int64>();
}

/// A member that is a number; `fallback` when it is absent or null.
inline double getNumber(const Object &object, const std::string &key, double fallback) {
  const Value value = object.get(key);
  if (value.isEmpty()) return fallback;
  if (!value.isNumeric() || value.isBoolean() || value.isString()) throw badField(key, "a number");
  return value.convert<double>();
}

/// A member that is true or false; `fallback` when it is absent or null.
inline bool getBool(const Object &object, const std::string &key, bool fallback) {
  const Value value = object.get(key);
  if (value.isEmpty()) return fallback;
  if (!value.isBoolean()) throw badField(key, "true or false");
  return value.extract<bool>();
}

/// A member that is an object; null when it is absent or null.
inline Object::Ptr findObject(const Object &object, const std::string &key) {
  const Value value = object.get(key);
  if (value.isEmpty()) return nullptr;
  if (value.type() != typeid(Object::Ptr)) throw badField(key, "an object");
  return value.extract<Object::Ptr>();
}

/// A member that is an array; null when it is absent or null.
inline Array::Ptr findArray(const Object &object, const std::string &key) {
  const Value value = object.get(key);
  if (value.isEmpty()) return nullptr;
  if (value.type() != typeid(Array::Ptr)) throw badField(key, "an array");
  return value.extract<Array::Ptr>();
}

/// A member that is an array of strings; none when it is absent or null.
inline std::vector<std::string> getStrings(const Object &object, const std::string &key) {
  std::vector<std::string> strings;
  const Array::Ptr array = findArray(object, key);
  for (unsigned i = 0; array && i < array->size(); ++i) {
    const Value value = array->get(i);
    if (!value.isString()) throw badField(key, "an array of strings");
    strings.push_back(value.extract<std::string>());
  }
  return strings;
}

/// An array of these strings.
inline Array::Ptr strings(const std::vector<std::string> &texts) {
  Array::Ptr made = new Array;
  for (const std::string &text : texts)
    made->add(text);
  return made;
}

/// An object with these members, in this order.
inline Object::Ptr object(std::initializer_list<std::pair<const char *, Value>> members) {
  Object::Ptr made = new Object(Poco::JSON_PRESERVE_KEY_ORDER);
  for (const auto &[key, value] : members)
    made->set(key, value);
  return made;
}

/// Compact text of a value.
inline std::string dump(const Value &value) {
  std::ostringstream out;
  Poco::JSON::Stringifier::condense(value, out);
  return out.str();
}
inline std::string dump(const Object &object) {
  std::ostringstream out;
  object.stringify(out);
  return out.str();
}

} // namespace json
} // namespace v1
} // namespace matrixos
