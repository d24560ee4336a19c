/// For what nobody shall find in memory later.
#pragma once

#include <string.h> // explicit_bzero(3)

#include <string>

namespace matrixos::common {

/// Overwrites the text, in a way that no compiler leaves out, and empties it.
inline void wipe(std::string &text) noexcept {
  ::explicit_bzero(text.data(), text.size());
  text.clear();
}

} // namespace matrixos::common
