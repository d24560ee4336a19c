/// Stamp.h: what requests and answers carry so that nobody can take one for another's.
#pragma once

#include <cstddef>
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

} // namespace matrixos::test
