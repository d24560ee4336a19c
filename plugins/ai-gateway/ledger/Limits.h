/// What may be spent, and what has been.
#pragma once

#include "../money/Money.h"

#include <cstdint>
#include <optional>
#include <string>

namespace matrixos::gateway {

/// What is spent at most; nothing: as much as one likes. Of 0 everything is refused, also what costs nothing.
struct Limits {
  std::optional<Money> daily, monthly;

  bool operator==(const Limits &) const = default;
};

struct Refused {
  enum class By : std::uint8_t { UserDay, UserMonth, GlobalDay, GlobalMonth, Journal };
  By by;
  std::int64_t resetsAtMs = 0; ///< wall clock; of the limit that refused, of several the last; 0 for Journal
  std::string why{};           ///< Journal: one sentence for the operator
};

/// What somebody has spent and holds. Days and months are those of UTC.
struct Spend {
  Money day, month, held;

  bool operator==(const Spend &) const = default;
};

} // namespace matrixos::gateway
