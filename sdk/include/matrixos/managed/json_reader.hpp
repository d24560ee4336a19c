/// matrixos/managed/json_reader.hpp: reads the runtime's JSON with nlohmann/json (header-only, any C++ library). An
/// implementation detail of managed_runtime.hpp: no type of it stands in what a plugin's author writes.
#pragma once

#include <matrixos/status.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace matrixos {
inline namespace v1 {
namespace managed {

using Json = nlohmann::json;

constexpr std::size_t kMaxDocument = 1024 * 1024;
constexpr int kMaxDepth = 32;
constexpr std::size_t kMaxItems = 256;

inline Error badField(const std::string &what) {
  return Error(Status::InvalidArgument, what, "BAD_FIELD");
}

/// The document, an object in UTF-8 of bounded size and depth. Throws Error(InvalidArgument, BAD_JSON).
inline Json parseObject(std::string_view text, std::size_t maxSize = kMaxDocument) {
  const auto bad = [](const std::string &why) { return Error(Status::InvalidArgument, why, "BAD_JSON"); };
  if (text.size() > maxSize) throw bad("the JSON document is larger than " + std::to_string(maxSize) + " bytes");
  // The parser takes a NUL for the end of the document, whatever follows.
  if (text.find('\0') != std::string_view::npos) throw bad("the JSON document holds a NUL");
  bool deep = false;
  Json value;
  try {
    value = Json::parse(text, [&deep](int depth, Json::parse_event_t, Json &) {
      if (depth > kMaxDepth) deep = true;
      return !deep;
    });
  } catch (const Json::exception &e) {
    throw bad(std::string("malformed JSON: ") + e.what());
  }
  if (deep) throw bad("the JSON document is nested too deeply");
  if (!value.is_object()) throw bad("the JSON document has to be an object, like {\"key\": …}");
  return value;
}

/// Null when it is absent or null.
inline const Json *find(const Json &object, const char *key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

inline std::string textOr(const Json &object, const char *key, std::string fallback) {
  const Json *value = find(object, key);
  if (value == nullptr) return fallback;
  if (!value->is_string()) throw badField("\"" + std::string(key) + "\" has to be a string");
  return value->get<std::string>();
}

inline std::string text(const Json &object, const char *key) {
  if (find(object, key) == nullptr) {
    throw badField("\"" + std::string(key) + "\" is missing; it has to be a string");
  }
  return textOr(object, key, {});
}

inline std::int64_t integerOr(const Json &object, const char *key, std::int64_t fallback) {
  const Json *value = find(object, key);
  if (value == nullptr) return fallback;
  const bool fits = value->is_number_integer() &&
                    (!value->is_number_unsigned() || value->get<std::uint64_t>() <= std::uint64_t{INT64_MAX});
  if (!fits) throw badField("\"" + std::string(key) + "\" has to be a whole number");
  return value->get<std::int64_t>();
}

inline double numberOr(const Json &object, const char *key, double fallback) {
  const Json *value = find(object, key);
  if (value == nullptr) return fallback;
  if (!value->is_number()) throw badField("\"" + std::string(key) + "\" has to be a number");
  return value->get<double>();
}

inline bool flagOr(const Json &object, const char *key, bool fallback) {
  const Json *value = find(object, key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) throw badField("\"" + std::string(key) + "\" has to be true or false");
  return value->get<bool>();
}

/// An object of strings, at most 256, such as labels; empty when it is absent.
inline std::map<std::string, std::string> textsOf(const Json &object, const char *key) {
  std::map<std::string, std::string> texts;
  const Json *value = find(object, key);
  if (value == nullptr) return texts;
  if (!value->is_object()) throw badField("\"" + std::string(key) + "\" has to be an object");
  if (value->size() > kMaxItems) throw badField("\"" + std::string(key) + "\" has more than 256 members");
  for (const auto &[name, item] : value->items()) {
    if (!item.is_string()) throw badField("\"" + std::string(key) + "." + name + "\" has to be a string");
    texts[name] = item.get<std::string>();
  }
  return texts;
}

/// Calls `item` with each element of an array; nothing when it is absent.
template <typename Item>
void eachOf(const Json &object, const char *key, Item &&item) {
  const Json *value = find(object, key);
  if (value == nullptr) return;
  if (!value->is_array()) throw badField("\"" + std::string(key) + "\" has to be an array");
  if (value->size() > kMaxItems) throw badField("\"" + std::string(key) + "\" has more than 256 items");
  for (const Json &element : *value)
    item(element);
}

/// A label filter, {"k": "v"}; an empty text is no filter.
inline std::map<std::string, std::string> parseLabels(std::string_view json) {
  if (json.empty()) return {};
  Json document;
  document["labels"] = parseObject(json); // not in a list of initialisers, which GCC 12 does not unwind well
  return textsOf(document, "labels");
}

inline bool matches(const std::map<std::string, std::string> &filter,
                    const std::map<std::string, std::string> &labels) {
  for (const auto &[key, value] : filter) {
    const auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  return true;
}

/// Compact text. What is no UTF-8 comes out as U+FFFD instead of an exception: engines and tenants write what they
/// like.
inline std::string dump(const Json &value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

} // namespace managed
} // namespace v1
} // namespace matrixos
