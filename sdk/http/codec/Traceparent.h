/// http/codec/Traceparent.h: the trace that a request belongs to (https://www.w3.org/TR/trace-context/).
#pragma once

#include "Field.h"

#include <algorithm>
#include <string_view>

namespace matrixos::http {

/// A traceparent of version 00 with ids that are not all zero.
inline bool isTraceparent(std::string_view text) noexcept {
  // 00-<32 hex>-<16 hex>-<2 hex>
  if (text.size() != 55 || text.substr(0, 3) != "00-" || text[35] != '-' || text[52] != '-') return false;
  const auto hex = [](std::string_view part) {
    return std::all_of(part.begin(), part.end(),
                       [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  };
  const auto zero = [](std::string_view part) { return part.find_first_not_of('0') == std::string_view::npos; };
  const std::string_view trace = text.substr(3, 32);
  const std::string_view span = text.substr(36, 16);
  return hex(trace) && hex(span) && hex(text.substr(53)) && !zero(trace) && !zero(span);
}

/// The traceparent of a request; empty when it has none, several, or one that is malformed.
inline std::string_view traceparentOf(const FieldList &fields) noexcept {
  const std::string_view trace = fields.value(Name::Traceparent);
  return fields.count(Name::Traceparent) == 1 && isTraceparent(trace) ? trace : std::string_view();
}

} // namespace matrixos::http
