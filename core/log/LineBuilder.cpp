#include "log/LineBuilder.h"

#include <time.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace matrixos::log {
namespace {

/// Kept free for the end of a line that was cut.
constexpr std::size_t kTail = 32;
/// A message may take this much, so that some fields always fit.
constexpr std::size_t kLongestMessage = kLongestLine / 2;
constexpr std::size_t kLongestName = 256;

std::string redact(std::string_view text, const std::vector<std::string> &secrets) {
  std::string clean(text);
  for (const std::string &secret : secrets) {
    for (std::size_t at = clean.find(secret); at != std::string::npos; at = clean.find(secret, at + 10)) {
      clean.replace(at, secret.size(), "[redacted]");
    }
  }
  return clean;
}

/// Length of the valid UTF-8 character at the front, 0 when there is none (Unicode 15, table 3-7).
std::size_t characterLength(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return follows(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F)) return 0;
    return follows(1) && follows(2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if ((lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F)) return 0;
    return follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

/// Control characters of both ranges; a terminal acts on them.
bool isControl(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7F;
  return first == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;
}

/// Appends escaped text up to a limit on the whole line; false when some of it did not fit.
class Escaper {
public:
  Escaper(std::string &line, std::size_t limit) : line_(line), limit_(limit) {}

  bool append(std::string_view text) {
    while (!text.empty()) {
      const std::size_t length = characterLength(text);
      const std::string_view character = text.substr(0, std::max<std::size_t>(length, 1));
      if (!put(length == 0 ? std::string_view("\xEF\xBF\xBD") : escaped(character))) return false;
      text.remove_prefix(character.size());
    }
    return true;
  }

private:
  std::string_view escaped(std::string_view character) {
    switch (character[0]) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      break;
    }
    if (!isControl(character)) return character;
    const auto code = static_cast<unsigned char>(character.back());
    std::snprintf(scratch_.data(), scratch_.size(), "\\u%04x", static_cast<unsigned>(code));
    return scratch_.data();
  }

  bool put(std::string_view piece) {
    if (line_.size() + piece.size() > limit_) return false;
    line_ += piece;
    return true;
  }

  std::string &line_;
  std::size_t limit_;
  std::array<char, 8> scratch_{};
};

std::string timeText(std::int64_t ms) {
  const time_t seconds = static_cast<time_t>(ms / 1000);
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 40> text{};
  const std::size_t length = ::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text.data() + length, text.size() - length, ".%03dZ", static_cast<int>(ms % 1000));
  return text.data();
}

std::string numberText(double number) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.17g", number);
  std::array<char, 40> shorter{};
  std::snprintf(shorter.data(), shorter.size(), "%.15g", number);
  return std::strtod(shorter.data(), nullptr) == number ? shorter.data() : text.data();
}

/// The value of a field that is no text; "" for texts.
std::string plainText(const Field &field) {
  return std::visit(
      [](const auto &value) -> std::string {
        using Type = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<Type, std::string_view>)
          return {};
        else if constexpr (std::is_same_v<Type, bool>)
          return value ? "true" : "false";
        else if constexpr (std::is_same_v<Type, double>)
          return std::isfinite(value) ? numberText(value) : "null";
        else
          return std::to_string(value);
      },
      field.value);
}

/// Field names that a line has of itself.
bool isReserved(std::string_view key) {
  static constexpr std::array<std::string_view, 6> kReserved{"time",    "level",     "logger",
                                                             "message", "requestId", "truncated"};
  return std::find(kReserved.begin(), kReserved.end(), key) != kReserved.end();
}

std::string_view cutName(std::string_view name) {
  return name.substr(0, kLongestName);
}

/// `,"key":value`; takes back all of it and answers false when it does not fit. A text that fits in part is cut.
bool appendJsonField(std::string &line, const Field &field, const std::vector<std::string> &secrets, std::size_t limit,
                     bool &cut) {
  const std::size_t before = line.size();
  const auto *text = std::get_if<std::string_view>(&field.value);
  const std::string plain = plainText(field);
  line += ",\"";
  const bool named = Escaper(line, limit).append(cutName(field.key));
  line += isReserved(field.key) ? "_\":" : "\":";
  if (!named || line.size() + std::max<std::size_t>(plain.size(), 2) > limit) {
    line.resize(before);
    return false;
  }
  if (text == nullptr) {
    line += plain;
    return true;
  }
  line += '"';
  if (!Escaper(line, limit - 1).append(redact(*text, secrets))) cut = true;
  line += '"';
  return true;
}

std::string buildJson(const LogEntry &entry, const std::vector<std::string> &secrets) {
  std::string line = "{\"time\":\"" + timeText(entry.timeMs) + "\",\"level\":\"" + levelName(entry.level) + "\"";
  const std::size_t limit = kLongestLine - kTail;
  bool cut = false;
  // The names of our own members go in as they are; isReserved() is about the fields.
  const auto own = [&](const char *key, std::string_view text, std::size_t upTo) {
    line += key;
    if (!Escaper(line, upTo).append(redact(text, secrets))) cut = true;
    line += '"';
  };
  own(",\"logger\":\"", cutName(entry.logger), limit);
  own(",\"message\":\"", entry.message, kLongestMessage);
  if (!entry.requestId.empty()) own(",\"requestId\":\"", cutName(entry.requestId), limit);
  for (const Field &field : entry.fields) {
    if (!appendJsonField(line, field, secrets, limit, cut)) cut = true;
  }
  if (cut) line += ",\"truncated\":true";
  return line += "}\n";
}

void pad(std::string &line, std::size_t column) {
  line.append(line.size() < column ? column - line.size() : 1, ' ');
}

bool needsQuotes(std::string_view text) {
  return text.empty() || text.find_first_of(" =\"\\") != std::string_view::npos;
}

bool appendHumanField(std::string &line, std::string_view key, const std::string &text, bool quote, std::size_t limit) {
  const std::size_t before = line.size();
  line += ' ';
  if (!Escaper(line, limit).append(cutName(key)) || line.size() + 8 > limit) {
    line.resize(before);
    return false;
  }
  line += quote ? "=\"" : "=";
  const bool whole = Escaper(line, limit - 1).append(text);
  if (quote) line += '"';
  return whole;
}

std::string buildHuman(const LogEntry &entry, const std::vector<std::string> &secrets) {
  constexpr std::size_t kLevelColumn = 25;
  constexpr std::size_t kNameColumn = 33;
  constexpr std::size_t kMessageColumn = 50;
  const std::size_t limit = kLongestLine - kTail;
  std::string line = timeText(entry.timeMs);
  pad(line, kLevelColumn);
  line += levelName(entry.level);
  pad(line, kNameColumn);
  Escaper(line, limit).append(cutName(entry.logger));
  pad(line, kMessageColumn);
  bool whole = Escaper(line, kLongestMessage).append(redact(entry.message, secrets));
  if (!entry.requestId.empty()) {
    whole &= appendHumanField(line, "requestId", std::string(cutName(entry.requestId)), false, limit);
  }
  for (const Field &field : entry.fields) {
    const auto *text = std::get_if<std::string_view>(&field.value);
    const std::string value = text != nullptr ? redact(*text, secrets) : plainText(field);
    whole &= appendHumanField(line, field.key, value, text != nullptr && needsQuotes(value), limit);
  }
  if (!whole) line += " [truncated]";
  return line += '\n';
}

} // namespace

std::string buildLine(const LogEntry &entry, Format format, const std::vector<std::string> &secrets) {
  return format == Format::Json ? buildJson(entry, secrets) : buildHuman(entry, secrets);
}

} // namespace matrixos::log
