#include "Text.h"

#include <matrixos/status.hpp>
#include <matrixos/text/time.hpp>
#include <matrixos/text/utf8.hpp>

#include <algorithm>
#include <optional>

namespace matrixos::docker {

std::string tidy(std::string_view text, std::size_t maxBytes) {
  std::string out;
  bool space = false;
  while (!text.empty()) {
    const std::size_t length = characterLength(text);
    const std::string_view part = length == 0 ? kReplacementCharacter : text.substr(0, length);
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

std::int64_t engineTime(std::string_view text) {
  const std::optional<std::int64_t> ms = parseTime(text);
  if (!ms) throw Error(Status::InvalidArgument, "\"" + tidy(text, 40) + "\" is no RFC 3339 time");
  return std::max<std::int64_t>(0, *ms);
}

} // namespace matrixos::docker
