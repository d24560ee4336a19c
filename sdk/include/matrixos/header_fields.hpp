/// matrixos/header_fields.hpp: header fields of a request that the host describes (abi/policy.h, abi/identity.h).
#pragma once

#include <matrixos/status.hpp>

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace matrixos {
inline namespace v1 {
namespace detail {

/// Names of header fields are the same in any case.
inline bool isSameField(std::string_view a, std::string_view b) noexcept {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; };
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [&](char x, char y) { return lower(x) == lower(y); });
}

/// Calls each(name, value) for the fields of a request, until it answers false.
template <typename Request, typename Each>
void eachHeader(const Request *request, Each &&each) {
  for (std::uint32_t i = 0; i < request->fields_count; ++i)
    if (!each(fromAbi(request->fields[i].key), fromAbi(request->fields[i].value))) return;
}

/// The value of the first field of that name; empty when there is none.
template <typename Request>
std::string_view headerOf(const Request *request, std::string_view name) {
  std::string_view found;
  eachHeader(request, [&](std::string_view key, std::string_view value) {
    if (!isSameField(key, name)) return true;
    found = value;
    return false;
  });
  return found;
}

} // namespace detail
} // namespace v1
} // namespace matrixos
