#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace matrixos::lifecycle {

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
};

/// Hash map by handle that is searched without making a std::string.
template <typename Value>
using StringMap = std::unordered_map<std::string, Value, StringHash, std::equal_to<>>;

} // namespace matrixos::lifecycle
