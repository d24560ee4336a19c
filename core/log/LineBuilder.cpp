#include "log/LineBuilder.h"

#include <matrixos/text/json_quote.hpp>
#include <matrixos/text/time.hpp>

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
  const bool named = appendJsonEscaped(line, cutName(field.key), limit);
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
  if (!appendJsonEscaped(line, redacted(*text, secrets), limit - 1)) cut = true;
  line += '"';
  return true;
}

std::string buildJson(const LogEntry &entry, const std::vector<std::string> &secrets) {
  std::string line = "{\"time\":\"" + formatTime(entry.timeMs) + "\",\"level\":\"" + levelName(entry.level) + "\"";
  const std::size_t limit = kLongestLine - kTail;
  bool cut = false;
  // The names of our own members go in as they are; isReserved() is about the fields.
  const auto own = [&](const char *key, std::string_view text, std::size_t upTo) {
    line += key;
    if (!appendJsonEscaped(line, redacted(text, secrets), upTo)) cut = true;
    line += '"';
  };
  own(",\"logger\":\"", cutName(entry.logger), limit);
  own(",\"message\":\"", entry.message, kLongestMessage);
  if (!entry.requestId.empty()) own(",\"requestId\":\"", cutName(entry.requestId), limit);
  for (const Field &field : entry.fields) {
    if (&field != entry.named && !appendJsonField(line, field, secrets, limit, cut)) cut = true;
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
  if (!appendJsonEscaped(line, cutName(key), limit) || line.size() + 8 > limit) {
    line.resize(before);
    return false;
  }
  line += quote ? "=\"" : "=";
  const bool whole = appendJsonEscaped(line, text, limit - 1);
  if (quote) line += '"';
  return whole;
}

std::string buildHuman(const LogEntry &entry, const std::vector<std::string> &secrets) {
  constexpr std::size_t kLevelColumn = 25;
  constexpr std::size_t kNameColumn = 33;
  constexpr std::size_t kMessageColumn = 50;
  const std::size_t limit = kLongestLine - kTail;
  std::string line = formatTime(entry.timeMs);
  pad(line, kLevelColumn);
  line += levelName(entry.level);
  pad(line, kNameColumn);
  appendJsonEscaped(line, cutName(entry.logger), limit);
  pad(line, kMessageColumn);
  bool whole = appendJsonEscaped(line, redacted(entry.message, secrets), kLongestMessage);
  if (!entry.requestId.empty()) {
    whole &= appendHumanField(line, "requestId", std::string(cutName(entry.requestId)), false, limit);
  }
  for (const Field &field : entry.fields) {
    if (&field == entry.named) continue;
    const auto *text = std::get_if<std::string_view>(&field.value);
    const std::string value = text != nullptr ? redacted(*text, secrets) : plainText(field);
    whole &= appendHumanField(line, field.key, value, text != nullptr && needsQuotes(value), limit);
  }
  if (!whole) line += " [truncated]";
  return line += '\n';
}

} // namespace

std::string buildLine(const LogEntry &entry, Format format, const std::vector<std::string> &secrets) {
  LogEntry own = entry;
  // Who logs for a request from another thread names it in a field. It is the line's own member all the same.
  const auto isId = [](const Field &field) {
    return field.key == "requestId" && std::holds_alternative<std::string_view>(field.value);
  };
  const auto named = std::find_if(entry.fields.begin(), entry.fields.end(), isId);
  if (named != entry.fields.end() && entry.requestId.empty()) {
    own.requestId = std::get<std::string_view>(named->value);
    own.named = &*named;
  }
  return format == Format::Json ? buildJson(own, secrets) : buildHuman(own, secrets);
}

} // namespace matrixos::log
