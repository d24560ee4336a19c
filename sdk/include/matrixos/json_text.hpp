/// matrixos/json_text.hpp: writes JSON, with the members of objects in the order they are added. Needs no library; many
/// times faster than building a document first.
#pragma once

#include <matrixos/text/json_quote.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace matrixos {
inline namespace v1 {

/// An object under construction.
class JsonObject {
public:
  /// Makes room for `expected` bytes, so that a long object is not moved while it grows.
  explicit JsonObject(std::size_t expected = 0) { out_.reserve(expected); }

  JsonObject &add(std::string_view key, std::string_view value) {
    member(key);
    appendJsonString(out_, value);
    return *this;
  }
  JsonObject &add(std::string_view key, const char *value) { return add(key, std::string_view(value)); }
  JsonObject &add(std::string_view key, std::int64_t value) { return addRaw(key, std::to_string(value)); }
  JsonObject &add(std::string_view key, std::uint64_t value) { return addRaw(key, std::to_string(value)); }
  JsonObject &add(std::string_view key, int value) { return addRaw(key, std::to_string(value)); }
  JsonObject &add(std::string_view key, bool value) { return addRaw(key, value ? "true" : "false"); }
  /// `json` is a finished JSON value.
  JsonObject &addRaw(std::string_view key, std::string_view json) {
    member(key);
    out_ += json;
    return *this;
  }
  std::string str() && {
    out_ += '}';
    return std::move(out_);
  }

private:
  void member(std::string_view key) {
    if (out_.size() > 1) out_ += ',';
    appendJsonString(out_, key);
    out_ += ':';
  }

  std::string out_ = "{";
};

/// A finished object with one more member at its end.
inline std::string withMember(std::string object, std::string_view key, std::string_view value) {
  object.back() = object.size() > 2 ? ',' : ' ';
  appendJsonString(object, key);
  object += ':';
  appendJsonString(object, value);
  object += '}';
  return object;
}

/// An array under construction, one call for each value.
class JsonArray {
public:
  /// `json` is a finished JSON value.
  void add(std::string_view json) {
    separate();
    out_ += json;
  }
  void addText(std::string_view text) {
    separate();
    appendJsonString(out_, text);
  }
  std::string str() && {
    out_ += ']';
    return std::move(out_);
  }

private:
  void separate() {
    if (out_.size() > 1) out_ += ',';
  }

  std::string out_ = "[";
};

} // namespace v1
} // namespace matrixos
