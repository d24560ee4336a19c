#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace matrixos::identity {

/// Who is signed in. Immutable and in one piece: there is one for each session.
class User {
public:
  static constexpr std::size_t kMostText = 255; ///< bytes of each text; longer ones are cut, but for the id

  /// Whether a text may be an id or an address: one word, since it becomes the value of a header field for instances.
  static bool isWord(std::string_view text) noexcept {
    return !text.empty() && text.size() <= kMostText &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
  }

  /// `operatorBy`: the item of [identity] operators that makes an operator of him; empty: none.
  User(std::string_view id, std::string_view email, bool emailVerified, std::string_view name,
       std::string_view operatorBy)
      : emailVerified_(emailVerified) {
    const std::string_view texts[] = {id, email, name, operatorBy};
    std::size_t all = 0;
    for (const std::string_view text : texts)
      all += text.substr(0, kMostText).size();
    packed_.reserve(all);
    for (std::size_t i = 0; i < 4; ++i)
      ends_[i] = static_cast<std::uint16_t>(packed_.append(texts[i].substr(0, kMostText)).size());
  }

  std::string_view id() const noexcept { return part(0); }
  std::string_view email() const noexcept { return part(1); }
  bool emailVerified() const noexcept { return emailVerified_; }
  std::string_view name() const noexcept { return part(2); }
  std::string_view operatorBy() const noexcept { return part(3); }

private:
  std::string_view part(std::size_t at) const noexcept {
    const std::size_t begin = at == 0 ? 0 : ends_[at - 1];
    return std::string_view(packed_).substr(begin, ends_[at] - begin);
  }

  std::string packed_;
  std::uint16_t ends_[4]{};
  bool emailVerified_;
};

} // namespace matrixos::identity
