/// matrixos/json_text.hpp: writes JSON, with the members of objects in the order they are added. Needs no library; many
/// times faster than building a document first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace matrixos {
inline namespace v1 {

/// `text` as a JSON string, quotes included. Control bytes are escaped; the rest is passed on as UTF-8.
inline void appendJsonString(std::string &out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  const auto plain = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte != 0x7f && c != '"' && c != '\\';
  };
  out += '"';
  // In runs, because nearly every text is one run.
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    while (end < text.size() && plain(text[end]))
      ++end;
    out.append(text, at, end - at);
    if (end == text.size()) break;
    const char c = text[end];
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else {
      out += "\\u00";
      out += kHex[static_cast<unsigned char>(c) >> 4U];
      out += kHex[static_cast<unsigned char>(c) & 15U];
    }
    at = end + 1;
  }
  out += '"';
}

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

/// Joins finished JSON values into an array, one call of add() each.
class JsonArray {
public:
  void add(std::string_view json) {
    if (out_.size() > 1) out_ += ',';
    out_ += json;
  }
  std::string str() && {
    out_ += ']';
    return std::move(out_);
  }

private:
  std::string out_ = "[";
};

} // namespace v1
} // namespace matrixos
