#include "http/PathCodec.h"

#include "http/Problem.h"

#include <matrixos/text/hex.hpp>
#include <matrixos/text/utf8.hpp>

namespace matrixos::api {

namespace {

bool isCleanUtf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7F) return false;
    const std::size_t length = characterLength(text.substr(i));
    if (length == 0) return false;
    i += length;
  }
  return true;
}

/// Characters that RFC 3986 allows nowhere in a path or query: above all `\\`, which some servers read as a slash.
void checkRaw(std::string_view raw, const char *what) {
  if (raw.find_first_of("\"#<>\\^`{|}") == std::string_view::npos) return;
  throw ProblemException(400, std::string("the ") + what + " holds a character that has to be percent-encoded",
                         "BAD_REQUEST");
}

} // namespace

std::optional<std::string> percentDecode(std::string_view text, bool plusIsSpace) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plusIsSpace) {
      out.push_back(' ');
    } else if (text[i] != '%') {
      out.push_back(text[i]);
    } else {
      if (text.size() - i < 3) return std::nullopt;
      const int high = hexValue(text[i + 1]);
      const int low = hexValue(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    }
  }
  if (!isCleanUtf8(out)) return std::nullopt;
  return out;
}

std::vector<std::string> decodePath(std::string_view rawPath) {
  checkRaw(rawPath, "path");
  std::vector<std::string> segments;
  if (rawPath == "/") return segments;
  while (!rawPath.empty()) {
    rawPath.remove_prefix(1); // the slash
    const std::size_t end = rawPath.find('/');
    auto segment = percentDecode(rawPath.substr(0, end));
    if (!segment) throw ProblemException(400, "the path holds a bad percent escape or a control byte", "BAD_PATH");
    if (*segment == "." || *segment == "..") {
      throw ProblemException(400, "the path holds a dot segment; send it resolved", "BAD_PATH");
    }
    segments.push_back(*std::move(segment));
    rawPath.remove_prefix(end == std::string_view::npos ? rawPath.size() : end);
  }
  return segments;
}

std::vector<std::pair<std::string, std::string>> decodeQuery(std::string_view rawQuery) {
  checkRaw(rawQuery, "query");
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!rawQuery.empty()) {
    const std::size_t end = rawQuery.find('&');
    const std::string_view item = rawQuery.substr(0, end);
    rawQuery.remove_prefix(end == std::string_view::npos ? rawQuery.size() : end + 1);
    if (item.empty()) continue;
    const std::size_t equals = item.find('=');
    auto name = percentDecode(item.substr(0, equals), true);
    auto value = percentDecode(equals == std::string_view::npos ? std::string_view{} : item.substr(equals + 1), true);
    if (!name || !value) {
      throw ProblemException(400, "the query holds a bad percent escape or a control byte", "BAD_QUERY");
    }
    pairs.emplace_back(*std::move(name), *std::move(value));
  }
  return pairs;
}

} // namespace matrixos::api
