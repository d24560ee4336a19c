#pragma once

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace matrixos::test {

/// Whether a text has a part.
inline bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// The same as a check, which shows both where it fails.
inline bool checkHas(const std::string &text, const std::string &part) {
  CAPTURE(text);
  CAPTURE(part);
  const bool found = has(text, part);
  CHECK(found);
  return found;
}

} // namespace matrixos::test
