#include "config/Text.h"

#include <matrixos/text/hex.hpp>
#include <matrixos/text/utf8.hpp>

#include <algorithm>

namespace matrixos::config {

namespace {

constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::size_t kQuotedLimit = 80;
/// Longer words are not compared: the matrix grows with the square, and nobody mistypes that much.
constexpr std::size_t kLongestWord = 64;

/// Optimal string alignment distance: inserts, removals, replacements and swaps of neighbours cost one each.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> above(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    above[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t differs = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + differs});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

} // namespace

std::string lower(std::string_view text) {
  std::string out(text);
  for (char &c : out)
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::string_view trim(std::string_view text) noexcept {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::string_view unquote(std::string_view text) noexcept {
  text = trim(text);
  if (text.size() < 2 || text.front() != text.back()) return text;
  const char mark = text.front();
  if (mark != '"' && mark != '\'') return text;
  // "a" and "b" is no quoted text, but two of them.
  if (text.find(mark, 1) != text.size() - 1) return text;
  return text.substr(1, text.size() - 2);
}

bool looksCommented(std::string_view text) noexcept {
  return text.find(" ;") != std::string_view::npos || text.find(" #") != std::string_view::npos;
}

std::string quote(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const std::size_t length = characterLength(text);
    const auto byte = static_cast<unsigned char>(text.front());
    if (out.size() + length > kQuotedLimit) {
      out += "…";
      break;
    }
    if (length == 0 || byte < 0x20 || byte == 0x7F) {
      out += "\\x";
      appendHex(out, byte, 2);
      text.remove_prefix(1);
    } else {
      out += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return out + "\"";
}

std::optional<std::string> findBadCharacter(std::string_view text) {
  while (!text.empty()) {
    const auto byte = static_cast<unsigned char>(text.front());
    if ((byte < 0x20 && byte != '\t') || byte == 0x7F) return "a control character";
    const std::size_t length = characterLength(text);
    if (length == 0) return "invalid UTF-8";
    text.remove_prefix(length);
  }
  return std::nullopt;
}

std::vector<std::string> splitList(std::string_view text) {
  std::vector<std::string> items;
  if (trim(text).empty()) return items;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t comma = std::min(text.find(',', start), text.size());
    items.emplace_back(trim(text.substr(start, comma - start)));
    start = comma + 1;
  }
  return items;
}

std::string joinList(std::span<const std::string> items) {
  std::string out;
  for (const auto &item : items)
    out += (out.empty() ? "" : ", ") + item;
  return out;
}

std::optional<std::string> closest(std::string_view word, std::span<const std::string> candidates) {
  if (word.empty() || word.size() > kLongestWord) return std::nullopt;
  std::size_t best = word.size() <= 3 ? 2 : word.size() <= 8 ? 3 : 4;
  std::optional<std::string> found;
  for (const auto &candidate : candidates) {
    const std::size_t gap =
        candidate.size() > word.size() ? candidate.size() - word.size() : word.size() - candidate.size();
    if (gap >= best || candidate.size() > kLongestWord) continue;
    const std::size_t cost = distance(lower(word), lower(candidate));
    if (cost < best) {
      best = cost;
      found = candidate;
    }
  }
  return found;
}

} // namespace matrixos::config
