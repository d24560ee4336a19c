#include "JsonScanner.h"

#include <matrixos/text/hex.hpp>

#include <algorithm>
#include <bit>
#include <cstring>

namespace matrixos::gateway {

namespace {

constexpr std::size_t kPathNames = 8;
constexpr std::size_t kMaxNumber = 64;

constexpr bool isBlank(char c) noexcept {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}
constexpr bool isDigit(char c) noexcept {
  return c >= '0' && c <= '9';
}
constexpr bool isOfNumber(char c) noexcept {
  return isDigit(c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}
constexpr bool isPlain(char c) noexcept {
  return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\';
}

/// How many bytes at the front of a string's inside stand for themselves; eight at a time, since most of a body is
/// text.
std::size_t plainLength(std::string_view text) noexcept {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  std::size_t at = 0;
  for (; text.size() - at >= sizeof(std::uint64_t); at += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, sizeof word);
    const std::uint64_t quotes = word ^ (kOnes * '"');
    const std::uint64_t slashes = word ^ (kOnes * '\\');
    const std::uint64_t found =
        (((quotes - kOnes) & ~quotes) | ((slashes - kOnes) & ~slashes) | ((word - kOnes * 0x20) & ~word)) &
        (kOnes * 0x80);
    if (found == 0) continue;
    // A byte above the first that was found may be marked by its borrow alone.
    if constexpr (std::endian::native == std::endian::little)
      return at + static_cast<std::size_t>(std::countr_zero(found)) / 8;
    break;
  }
  while (at < text.size() && isPlain(text[at]))
    ++at;
  return at;
}

bool skipDigits(std::string_view &text) noexcept {
  const auto digits = static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), isDigit) - text.begin());
  text.remove_prefix(digits);
  return digits > 0;
}

/// RFC 8259 §6.
bool isNumber(std::string_view text) noexcept {
  if (text.starts_with('-')) text.remove_prefix(1);
  if (text.size() > 1 && text[0] == '0' && isDigit(text[1])) return false;
  if (!skipDigits(text)) return false;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (!skipDigits(text)) return false;
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
    if (!skipDigits(text)) return false;
  }
  return text.empty();
}

} // namespace

bool JsonScanner::feed(std::string_view piece) {
  while (!piece.empty() && state_ != State::Failed)
    piece.remove_prefix(take(piece));
  return state_ != State::Failed;
}

void JsonScanner::reset() noexcept {
  path_ = 0;
  level_ = depth_ = 0;
  name_ = 0;
  state_ = State::Value;
}

std::size_t JsonScanner::take(std::string_view piece) {
  const char c = piece.front();
  switch (state_) {
  case State::Text:
    return textPiece(piece);
  case State::Escape:
    escape(c);
    return 1;
  case State::Hex:
    hexDigit(c);
    return 1;
  case State::Number:
    if (isOfNumber(c)) {
      number(c);
      return 1;
    }
    endNumber();
    return 0;
  case State::Word:
    word(c);
    return 1;
  default:
    if (!isBlank(c)) structure(c);
    return 1;
  }
}

void JsonScanner::structure(char c) {
  switch (state_) {
  case State::ItemOrEnd:
    if (c == ']') return close(c);
    return value(c);
  case State::Value:
    return value(c);
  case State::KeyOrEnd:
    if (c == '}') return close(c);
    [[fallthrough]];
  case State::Key:
    return c == '"' ? beginText(true) : fail();
  case State::Colon:
    state_ = c == ':' ? State::Value : State::Failed;
    return;
  case State::Next:
    if (c != ',') return close(c);
    state_ = inObject() ? State::Key : State::Value;
    return;
  default:
    return fail(); // something behind the document
  }
}

void JsonScanner::value(char c) {
  if (depth_ > 0 && !inObject()) push(kItem);
  textSize_ = 0;
  switch (c) {
  case '{':
  case '[':
    return open(c == '{');
  case '"':
    return beginText(false);
  case 't':
  case 'f':
  case 'n':
    word_ = c == 't' ? "true" : c == 'f' ? "false" : "null";
    state_ = State::Word;
    return word(c);
  default:
    if (c != '-' && !isDigit(c)) return fail();
    state_ = State::Number;
    return number(c);
  }
}

void JsonScanner::open(bool object) {
  if (depth_ == kMaxDepth) return fail();
  handler_.onOpen(place(), object);
  objects_[depth_++] = object;
  state_ = object ? State::KeyOrEnd : State::ItemOrEnd;
}

void JsonScanner::close(char c) {
  if (depth_ == 0 || c != (inObject() ? '}' : ']')) return fail();
  --depth_;
  name_ = 0; // it is that of something within
  handler_.onClose(place());
  endValue();
}

void JsonScanner::endValue() noexcept {
  pop();
  state_ = depth_ == 0 ? State::Done : State::Next;
}

void JsonScanner::beginText(bool key) noexcept {
  isKey_ = key;
  keeps_ = key || place().isNamed();
  textSize_ = textBytes_ = 0;
  state_ = State::Text;
}

std::size_t JsonScanner::textPiece(std::string_view piece) {
  std::size_t at = 0;
  while (state_ == State::Text && at < piece.size()) {
    const std::size_t plain = plainLength(piece.substr(at));
    textBytes_ += plain;
    if (keeps_) keep(piece.substr(at, plain));
    at += plain;
    if (at == piece.size()) break;
    const char c = piece[at++];
    if (c == '"') {
      endText();
    } else if (c != '\\') {
      fail();
    } else if (++textBytes_; at == piece.size()) {
      state_ = State::Escape;
    } else {
      escape(piece[at++]);
    }
  }
  return at;
}

void JsonScanner::endText() {
  if (!isKey_) {
    handler_.onText(place(), keeps_ ? kept() : std::string_view{}, textBytes_);
    return endValue();
  }
  push(nameOf(kept()));
  state_ = State::Colon;
}

std::uint8_t JsonScanner::nameOf(std::string_view key) const noexcept {
  const auto found = std::find_if(names_.begin(), names_.end(), [key](std::string_view name) {
    return name.size() == key.size() && name.front() == key.front() && name == key;
  });
  return found == names_.end() ? kOther : static_cast<std::uint8_t>(found - names_.begin() + 1);
}

void JsonScanner::escape(char c) {
  ++textBytes_;
  state_ = State::Text;
  switch (c) {
  case '"':
  case '\\':
  case '/':
    return keepCharacter(static_cast<unsigned char>(c));
  case 'b':
    return keepCharacter('\b');
  case 'f':
    return keepCharacter('\f');
  case 'n':
    return keepCharacter('\n');
  case 'r':
    return keepCharacter('\r');
  case 't':
    return keepCharacter('\t');
  case 'u':
    character_ = 0;
    hexDigits_ = 0;
    state_ = State::Hex;
    return;
  default:
    return fail();
  }
}

void JsonScanner::hexDigit(char c) {
  ++textBytes_;
  const int digit = hexValue(c);
  if (digit < 0) return fail();
  character_ = character_ * 16 + static_cast<std::uint32_t>(digit);
  if (++hexDigits_ < 4) return;
  keepCharacter(character_);
  state_ = State::Text;
}

void JsonScanner::number(char c) {
  if (textSize_ == kMaxNumber) return fail();
  text_[textSize_++] = c;
}

void JsonScanner::endNumber() {
  if (!isNumber(kept())) return fail();
  handler_.onNumber(place(), kept());
  endValue();
}

void JsonScanner::word(char c) {
  if (c != word_[textSize_]) return fail();
  if (++textSize_ < word_.size()) return;
  handler_.onWord(place(), word_);
  endValue();
}

void JsonScanner::push(std::uint8_t name) noexcept {
  name_ = name;
  if (level_ < kPathNames) path_ |= static_cast<std::uint64_t>(name) << (8 * level_);
  ++level_;
}

void JsonScanner::pop() noexcept {
  if (level_ == 0) return;
  if (--level_ < kPathNames) path_ &= ~(std::uint64_t{0xFF} << (8 * level_));
}

JsonScanner::Place JsonScanner::place() const noexcept {
  if (level_ == 0) return {};
  if (level_ > kPathNames) return {path_, name_, level_};
  // Behind an object or array, the last name stands in the path alone.
  return {path_, static_cast<std::uint8_t>(path_ >> (8 * (level_ - 1))), level_};
}

void JsonScanner::keep(std::string_view bytes) noexcept {
  const std::size_t size = std::min(bytes.size(), kMaxText - textSize_);
  std::copy_n(bytes.data(), size, text_.data() + textSize_);
  textSize_ += size;
}

void JsonScanner::keepCharacter(std::uint32_t character) noexcept {
  if (!keeps_) return;
  // Half of a pair outside the basic plane: what is looked for holds none.
  if (character >= 0xD800 && character < 0xE000) character = 0xFFFD;
  const auto byte = [](std::uint32_t bits) { return static_cast<char>(static_cast<unsigned char>(bits)); };
  const std::array<char, 3> three = {byte(0xE0 | character >> 12), byte(0x80 | (character >> 6 & 0x3F)),
                                     byte(0x80 | (character & 0x3F))};
  const std::array<char, 2> two = {byte(0xC0 | character >> 6), three[2]};
  const char one = byte(character);
  if (character < 0x80) return keep({&one, 1});
  keep(character < 0x800 ? std::string_view(two.data(), two.size()) : std::string_view(three.data(), three.size()));
}

} // namespace matrixos::gateway
