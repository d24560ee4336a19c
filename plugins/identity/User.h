#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <numeric>
#include <string_view>

namespace matrixos::identity {

/// Who is signed in.
class User {
public:
  static constexpr std::size_t kMostText = 255; ///< bytes of each text; longer ones are cut, but for the id

  /// Whether a text may be an id or an address: one word, since it becomes the value of a header field for instances.
  static bool isWord(std::string_view text) noexcept {
    return !text.empty() && text.size() <= kMostText &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
  }

  /// `operatorBy`: the item of [identity] operators that makes an operator of him; empty: none. `byProgram`: it is a
  /// program that is signed in, which he let in.
  User(std::string_view id, std::string_view email, bool emailVerified, std::string_view name,
       std::string_view operatorBy, bool byProgram = false) {
    const std::array<std::string_view, kTexts> texts{id.substr(0, kMostText), email.substr(0, kMostText),
                                                     name.substr(0, kMostText), operatorBy.substr(0, kMostText)};
    std::size_t size = kHead;
    for (const std::string_view text : texts)
      size += text.size();
    packed_ = std::make_unique_for_overwrite<unsigned char[]>(size);
    packed_[kTexts] = static_cast<unsigned char>((emailVerified ? kVerified : 0U) | (byProgram ? kProgram : 0U));
    unsigned char *end = packed_.get() + kHead;
    for (std::size_t i = 0; i < kTexts; ++i) {
      packed_[i] = static_cast<unsigned char>(texts[i].size());
      end = std::copy(texts[i].begin(), texts[i].end(), end);
    }
  }
  User(const User &other)
      : User(other.id(), other.email(), other.emailVerified(), other.name(), other.operatorBy(), other.byProgram()) {}
  User(User &&) noexcept = default;
  User &operator=(User other) noexcept {
    packed_.swap(other.packed_);
    return *this;
  }
  ~User() = default;

  std::string_view id() const noexcept { return part(0); }
  std::string_view email() const noexcept { return part(1); }
  bool emailVerified() const noexcept { return (packed_[kTexts] & kVerified) != 0; }
  std::string_view name() const noexcept { return part(2); }
  std::string_view operatorBy() const noexcept { return part(3); }
  bool byProgram() const noexcept { return (packed_[kTexts] & kProgram) != 0; }

private:
  static constexpr std::size_t kTexts = 4;
  static constexpr std::size_t kHead = kTexts + 1; ///< their lengths, a byte each, and the flags
  static constexpr unsigned kVerified = 1, kProgram = 2;

  std::string_view part(std::size_t at) const noexcept {
    const std::size_t begin = std::accumulate(packed_.get(), packed_.get() + at, kHead);
    return {reinterpret_cast<const char *>(packed_.get()) + begin, packed_[at]};
  }

  std::unique_ptr<unsigned char[]> packed_; ///< all of it in one piece: there is one for each session
};

} // namespace matrixos::identity
