#include "Text.h"

#include <matrixos/status.hpp>

#include <array>
#include <ctime>

namespace matrixos::docker {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// Length of the well-formed UTF-8 character at the start of `text` (Unicode 15, table 3-7), 0 when there is none.
std::size_t characterLength(std::string_view text) noexcept {
  const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned lead = at(0);
  const auto tail = [&](std::size_t i) { return (at(i) & 0xC0U) == 0x80U; };
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return tail(1) ? 2 : 0;
  if ((lead & 0xF0U) == 0xE0U) {
    const bool bad = (lead == 0xE0 && at(1) < 0xA0) || (lead == 0xED && at(1) > 0x9F);
    return !bad && tail(1) && tail(2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const bool bad = (lead == 0xF0 && at(1) < 0x90) || (lead == 0xF4 && at(1) > 0x8F);
    return !bad && tail(1) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

} // namespace

std::string base64Encode(std::string_view bytes, bool urlSafe) {
  std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  alphabet += urlSafe ? "-_" : "+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = bytes.size() - i < 3 ? bytes.size() - i : 3;
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8U | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j)
      out += j <= count ? alphabet[group >> (18 - 6 * j) & 63U] : '=';
  }
  return out;
}

std::string base64Decode(std::string_view text) {
  std::string out;
  std::uint32_t group = 0;
  unsigned bits = 0;
  while (!text.empty() && text.back() == '=')
    text.remove_suffix(1);
  for (const char c : text) {
    unsigned value = 0;
    if (c >= 'A' && c <= 'Z')
      value = static_cast<unsigned>(c - 'A');
    else if (c >= 'a' && c <= 'z')
      value = static_cast<unsigned>(c - 'a') + 26;
    else if (c >= '0' && c <= '9')
      value = static_cast<unsigned>(c - '0') + 52;
    else if (c == '+' || c == '-')
      value = 62;
    else if (c == '/' || c == '_')
      value = 63;
    else
      throw Error(Status::InvalidArgument, "this is no base64");
    group = (group << 6U | value) & 0xFFFFFFU;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out += static_cast<char>(group >> bits & 0xFFU);
  }
  return out;
}

std::string toUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = characterLength(text);
    if (length == 0)
      out += kReplacement;
    else
      out += text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

std::string tidy(std::string_view text, std::size_t maxBytes) {
  std::string out;
  bool space = false;
  while (!text.empty()) {
    const std::size_t length = characterLength(text);
    const std::string_view part = length == 0 ? kReplacement : text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
    if (part.size() == 1 && (static_cast<unsigned char>(part[0]) <= 0x20 || part[0] == 0x7F)) {
      space = !out.empty();
      continue;
    }
    if (out.size() + part.size() + (space ? 1 : 0) > maxBytes) {
      out += "…";
      break;
    }
    if (space) out += ' ';
    space = false;
    out += part;
  }
  return out;
}

std::int64_t parseTime(std::string_view text) {
  const auto refuse = [&] { return Error(Status::InvalidArgument, "\"" + tidy(text, 40) + "\" is no RFC 3339 time"); };
  std::size_t at = 0;
  const auto number = [&](std::size_t digits) {
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i, ++at) {
      if (at >= text.size() || text[at] < '0' || text[at] > '9') throw refuse();
      value = value * 10 + (text[at] - '0');
    }
    return value;
  };
  const auto expect = [&](char c) {
    if (at >= text.size() || text[at] != c) throw refuse();
    ++at;
  };
  tm parts{};
  parts.tm_year = number(4) - 1900;
  expect('-');
  parts.tm_mon = number(2) - 1;
  expect('-');
  parts.tm_mday = number(2);
  expect('T');
  parts.tm_hour = number(2);
  expect(':');
  parts.tm_min = number(2);
  expect(':');
  parts.tm_sec = number(2);
  std::int64_t ms = 0;
  if (at < text.size() && text[at] == '.') {
    std::int64_t weight = 100;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, weight /= 10)
      ms += (text[at] - '0') * weight;
  }
  std::int64_t offset = 0;
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) {
    const std::int64_t sign = text[at++] == '+' ? 1 : -1;
    const int hours = number(2);
    expect(':');
    offset = sign * (hours * 60 + number(2)) * 60;
  } else {
    expect('Z');
  }
  if (at != text.size() || parts.tm_mon > 11 || parts.tm_mon < 0) throw refuse();
  const std::int64_t seconds = static_cast<std::int64_t>(::timegm(&parts)) - offset;
  return seconds < 0 ? 0 : seconds * 1000 + ms;
}

} // namespace matrixos::docker
