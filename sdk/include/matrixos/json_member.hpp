/// matrixos/json_member.hpp: the text of one member of a JSON object, found without reading the others. Needs no
/// library.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace matrixos {
inline namespace v1 {
namespace detail {

/// Walks over JSON text. Looks at strings and nesting alone: whoever uses a part judges what is in it.
class JsonWalker {
public:
  explicit JsonWalker(std::string_view text) noexcept : text_(text) {}

  /// Skips blanks; true when `c` came next, which is then behind.
  bool take(char c) noexcept {
    skipBlanks();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  /// The next value, with quotes or brackets; empty when there is none.
  std::string_view value() noexcept {
    skipBlanks();
    const std::size_t begin = at_;
    std::size_t depth = 0;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '"') {
        if (!skipString()) return {};
      } else if (c == '{' || c == '[') {
        ++depth;
      } else if (c == '}' || c == ']') {
        if (depth == 0) break;
        --depth;
      } else if (depth == 0 && (c == ',' || c == ':' || isBlank(c))) {
        break;
      }
    }
    return depth == 0 ? text_.substr(begin, at_ - begin) : std::string_view{};
  }

private:
  static bool isBlank(char c) noexcept { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
  void skipBlanks() noexcept {
    while (at_ < text_.size() && isBlank(text_[at_]))
      ++at_;
  }
  /// From the opening quote to the closing one.
  bool skipString() noexcept {
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    return at_ < text_.size();
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

} // namespace detail

/// The value of the object's first member of that name, as it stands in the text: a view into `object`. Nothing when
/// there is none, or when the text is no object as far as it was looked at. `key` holds nothing that JSON escapes.
inline std::optional<std::string_view> findMember(std::string_view object, std::string_view key) noexcept {
  detail::JsonWalker walker(object);
  if (!walker.take('{')) return std::nullopt;
  do {
    const std::string_view name = walker.value();
    if (name.size() < 2 || name.front() != '"' || !walker.take(':')) return std::nullopt;
    const std::string_view value = walker.value();
    if (value.empty()) return std::nullopt;
    if (name.substr(1, name.size() - 2) == key) return value;
  } while (walker.take(','));
  return std::nullopt;
}

/// What stands between the quotes of a JSON value that is a text, as it stands there: for words that JSON does not
/// escape. "" for any other value.
inline std::string_view plainText(std::string_view value) noexcept {
  return value.size() < 2 || value.front() != '"' ? std::string_view() : value.substr(1, value.size() - 2);
}

/// The same of the object's first member of that name; "" when there is none.
inline std::string_view memberText(std::string_view object, std::string_view key) noexcept {
  return plainText(findMember(object, key).value_or(std::string_view()));
}

} // namespace v1
} // namespace matrixos
