#include "plugin/EventSchema.h"

#include <matrixos/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

namespace matrixos::plugin {

namespace {

using json::Value;

/// Words of "type", in the order of their bits.
constexpr std::array<std::string_view, 7> kTypes{"null", "boolean", "integer", "number", "string", "array", "object"};
constexpr unsigned kNull = 1, kBoolean = 2, kInteger = 4, kNumber = 8, kString = 16, kArray = 32, kObject = 64;

constexpr std::array<std::string_view, 8> kAnnotations{"$schema",     "$id",      "$comment", "title",
                                                       "description", "examples", "default",  "readOnly"};

/// Which words of "type" the value is; a whole number is an integer however it was written (draft 7 §6.1.1).
unsigned kindOf(const Value &value) {
  if (value.isEmpty()) return kNull;
  if (value.type() == typeid(json::Object::Ptr)) return kObject;
  if (value.type() == typeid(json::Array::Ptr)) return kArray;
  if (value.isBoolean()) return kBoolean;
  if (value.isString()) return kString;
  if (value.isInteger()) return kInteger | kNumber;
  const double number = value.convert<double>();
  return std::floor(number) == number ? kInteger | kNumber : kNumber;
}

/// A scalar as what "enum" and "const" compare: 1 and 1.0 are the same, 1 and "1" are not.
std::string keyOf(const Value &value) {
  const unsigned kind = kindOf(value);
  if ((kind & kNull) != 0) return "null";
  if ((kind & kBoolean) != 0) return value.extract<bool>() ? "true" : "false";
  if ((kind & kString) != 0) return "\"" + value.convert<std::string>();
  // As a double a whole number beyond 2^53 would be equal to its neighbours.
  constexpr double kExact = 9007199254740992;
  if (value.isInteger()) return value.convert<std::string>();
  const auto number = value.convert<double>();
  const bool whole = (kind & kInteger) != 0 && std::abs(number) <= kExact;
  return whole ? std::to_string(static_cast<std::int64_t>(number)) : json::dump(json::object({{"n", value}}));
}

std::string pointer(const std::string &at, std::string_view part) {
  std::string escaped = at + "/";
  for (const char c : part)
    escaped += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return escaped;
}

std::size_t charactersOf(const std::string &text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string named(const std::string &at) {
  return at.empty() ? "the whole" : at;
}

} // namespace

struct EventSchema::Node {
  using Ptr = std::shared_ptr<const Node>;

  bool never = false; ///< the schema `false`
  unsigned types = 0; ///< 0: any
  std::map<std::string, Ptr> properties;
  std::set<std::string> required;
  Ptr others; ///< additionalProperties
  Ptr items;
  std::optional<std::set<std::string>> words; ///< enum, const
  std::optional<double> minimum, maximum;
  std::optional<std::size_t> minLength, maxLength, minItems, maxItems;

  static Ptr parse(const Value &schema, const std::string &at);
  void check(const Value &value, const std::string &at) const;

private:
  void readKeyword(const std::string &name, const Value &value, const std::string &at);
  void checkObject(const json::Object &object, const std::string &at) const;
};

namespace {

[[noreturn]] void refuseSchema(const std::string &at, const std::string &why) {
  throw Error(Status::InvalidArgument, named(at) + " " + why);
}

[[noreturn]] void misfit(const std::string &at, const std::string &why) {
  throw Error(Status::InvalidArgument, "the event does not fit the schema of its topic: " + named(at) + " " + why,
              "EVENT_SCHEMA");
}

json::Object::Ptr objectAt(const Value &value, const std::string &at) {
  if (kindOf(value) != kObject) refuseSchema(at, "is no object");
  return value.extract<json::Object::Ptr>();
}

json::Array::Ptr arrayAt(const Value &value, const std::string &at) {
  if (kindOf(value) != kArray) refuseSchema(at, "is no array");
  return value.extract<json::Array::Ptr>();
}

double numberAt(const Value &value, const std::string &at) {
  if ((kindOf(value) & kNumber) == 0) refuseSchema(at, "is no number");
  return value.convert<double>();
}

std::size_t countAt(const Value &value, const std::string &at) {
  const double number = numberAt(value, at);
  if (number < 0 || number > 1e9 || std::floor(number) != number) refuseSchema(at, "is no count");
  return static_cast<std::size_t>(number);
}

unsigned typeAt(const Value &value, const std::string &at) {
  const auto found =
      kindOf(value) == kString ? std::find(kTypes.begin(), kTypes.end(), value.convert<std::string>()) : kTypes.end();
  if (found == kTypes.end()) refuseSchema(at, "is no type");
  return 1U << static_cast<unsigned>(found - kTypes.begin());
}

std::string scalarAt(const Value &value, const std::string &at) {
  if ((kindOf(value) & (kObject | kArray)) != 0) refuseSchema(at, "is neither text, number, truth nor null");
  return keyOf(value);
}

} // namespace

EventSchema::Node::Ptr EventSchema::Node::parse(const Value &schema, const std::string &at) {
  auto node = std::make_shared<Node>();
  if (kindOf(schema) == kBoolean) {
    node->never = !schema.extract<bool>();
    return node;
  }
  const json::Object::Ptr object = objectAt(schema, at);
  for (const auto &[name, value] : *object)
    node->readKeyword(name, value, pointer(at, name));
  return node;
}

void EventSchema::Node::readKeyword(const std::string &name, const Value &value, const std::string &at) {
  if (name == "type") {
    if (kindOf(value) != kArray) {
      types = typeAt(value, at);
      return;
    }
    for (const Value &word : *value.extract<json::Array::Ptr>())
      types |= typeAt(word, at);
  } else if (name == "properties") {
    const json::Object::Ptr object = objectAt(value, at);
    for (const auto &[property, schema] : *object)
      properties[property] = parse(schema, pointer(at, property));
  } else if (name == "required") {
    for (const Value &property : *arrayAt(value, at)) {
      if (kindOf(property) != kString) refuseSchema(at, "names what is no text");
      required.insert(property.convert<std::string>());
    }
  } else if (name == "additionalProperties") {
    others = parse(value, at);
  } else if (name == "items") {
    items = parse(value, at);
  } else if (name == "enum") {
    words.emplace();
    for (const Value &word : *arrayAt(value, at))
      words->insert(scalarAt(word, at));
  } else if (name == "const") {
    words = std::set<std::string>{scalarAt(value, at)};
  } else if (name == "minimum") {
    minimum = numberAt(value, at);
  } else if (name == "maximum") {
    maximum = numberAt(value, at);
  } else if (name == "minLength") {
    minLength = countAt(value, at);
  } else if (name == "maxLength") {
    maxLength = countAt(value, at);
  } else if (name == "minItems") {
    minItems = countAt(value, at);
  } else if (name == "maxItems") {
    maxItems = countAt(value, at);
  } else if (std::find(kAnnotations.begin(), kAnnotations.end(), name) == kAnnotations.end()) {
    refuseSchema(at, "is a keyword that is not checked");
  }
}

void EventSchema::Node::check(const Value &value, const std::string &at) const {
  if (never) misfit(at, "is not expected");
  const unsigned kind = kindOf(value);
  if (types != 0 && (types & kind) == 0) misfit(at, "is of another type");
  if (words && ((kind & (kObject | kArray)) != 0 || words->count(keyOf(value)) == 0))
    misfit(at, "is none of the values that it may have");
  if ((kind & kNumber) != 0) {
    const double number = value.convert<double>();
    if ((minimum && number < *minimum) || (maximum && number > *maximum)) misfit(at, "is out of range");
  }
  if (kind == kString && (minLength || maxLength)) {
    const std::size_t length = charactersOf(value.convert<std::string>());
    if (length < minLength.value_or(0) || (maxLength && length > *maxLength)) misfit(at, "is too short or too long");
  }
  if (kind == kObject) return checkObject(*value.extract<json::Object::Ptr>(), at);
  if (kind != kArray) return;
  const json::Array &array = *value.extract<json::Array::Ptr>();
  if (array.size() < minItems.value_or(0) || (maxItems && array.size() > *maxItems))
    misfit(at, "has too few or too many items");
  for (unsigned i = 0; items && i < array.size(); ++i)
    items->check(array.get(i), pointer(at, std::to_string(i)));
}

void EventSchema::Node::checkObject(const json::Object &object, const std::string &at) const {
  for (const std::string &name : required)
    if (!object.has(name)) misfit(pointer(at, name), "is missing");
  for (const auto &[name, value] : object) {
    const auto known = properties.find(name);
    if (known != properties.end())
      known->second->check(value, pointer(at, name));
    else if (others)
      others->check(value, pointer(at, name));
  }
}

EventSchema EventSchema::parse(std::string_view text) {
  return EventSchema(Node::parse(Value(json::parseObject(text)), ""));
}

void EventSchema::check(std::string_view json) const {
  // The parser knows no document that is a bare word.
  const std::size_t first = json.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || (json[first] != '{' && json[first] != '['))
    misfit("", "is neither object nor array");
  root_->check(json::parse(json), "");
}

} // namespace matrixos::plugin
