#include "KeyList.h"

#include <http/codec/Grammar.h>

#include <algorithm>
#include <cstring>

namespace matrixos::gateway {

KeyList::KeyList(std::string_view lines) {
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find_first_of("\r\n"), lines.size());
    const std::string_view key = http::trim(lines.substr(0, end));
    lines.remove_prefix(std::min(end + 1, lines.size()));
    if (key.empty()) continue;
    keys_.emplace_back(key);
    longest_ = std::max(longest_, key.size());
  }
}

bool KeyList::isIn(std::string_view text) const noexcept {
  if (text.empty()) return false; // which may have no address
  return std::any_of(keys_.begin(), keys_.end(), [&](const Secret &key) {
    return ::memmem(text.data(), text.size(), key.reveal().data(), key.reveal().size()) != nullptr;
  });
}

std::size_t KeyList::begunAtEnd(std::string_view text) const noexcept {
  if (longest_ < 2) return 0;
  const std::size_t most = std::min(text.size(), longest_ - 1);
  const std::string_view tail = text.substr(text.size() - most);
  for (std::size_t at = 0; at < most; ++at) {
    const std::string_view end = tail.substr(at);
    const auto begins = [&](const Secret &key) {
      return key.reveal().size() > end.size() && key.reveal().substr(0, end.size()) == end;
    };
    if (std::any_of(keys_.begin(), keys_.end(), begins)) return end.size();
  }
  return 0;
}

void KeyList::cutOut(char *text, std::size_t size) const noexcept {
  for (const Secret &secret : keys_) {
    const std::string_view key = secret.reveal();
    char *from = text;
    for (std::size_t left = size; left >= key.size();) {
      auto *found = static_cast<char *>(::memmem(from, left, key.data(), key.size()));
      if (found == nullptr) break;
      std::memset(found, 'x', key.size());
      from = found + key.size();
      left = size - static_cast<std::size_t>(from - text);
    }
  }
}

bool KeyList::operator==(const KeyList &other) const noexcept {
  return std::equal(keys_.begin(), keys_.end(), other.keys_.begin(), other.keys_.end(),
                    [](const Secret &a, const Secret &b) { return a.equals(b.reveal()); });
}

} // namespace matrixos::gateway
