/// Stamp.h: what requests and answers carry so that nobody can take one for another's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

namespace matrixos::test {

/// A body made of one line, again and again: a foreign byte anywhere is noticed.
inline std::string stamped(std::string_view line, std::size_t lines) {
  std::string out;
  out.reserve((line.size() + 1) * lines);
  for (std::size_t i = 0; i < lines; ++i)
    out.append(line).append(1, '\n');
  return out;
}

/// True when a body, whole or broken off, has nothing but that line in it.
inline bool isStampedWith(std::string_view body, std::string_view line) {
  while (body.size() > line.size()) {
    if (body.substr(0, line.size()) != line || body[line.size()] != '\n') return false;
    body.remove_prefix(line.size() + 1);
  }
  return line.substr(0, body.size()) == body;
}

/// The chunked coding of a body.
inline std::string inChunks(std::string_view body, std::size_t chunk) {
  std::string out;
  for (; !body.empty(); body.remove_prefix(std::min(chunk, body.size()))) {
    const std::string_view part = body.substr(0, chunk);
    char size[32];
    std::snprintf(size, sizeof size, "%zx\r\n", part.size());
    out.append(size).append(part).append("\r\n");
  }
  return out + "0\r\n\r\n";
}

} // namespace matrixos::test
