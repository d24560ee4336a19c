/// What calls cost: held before they go out, settled once it is known.
#pragma once

#include "../money/Money.h"
#include "../money/TokenCounts.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace matrixos::gateway {

/// What is spent at most; nothing: as much as one likes.
struct Limits {
  std::optional<Money> daily, monthly;
};

/// One call, as it is written down.
struct CallFacts {
  std::string_view instanceId; ///< ULID, the ledger's key
  std::string_view handle;
  std::string_view model;   ///< as it was asked for
  std::string_view session; ///< a label of the caller's, may be empty; what is too long is cut
  bool worstCase = true;    ///< the hold is the most that it can cost
};

struct Settlement {
  Money cost;
  TokenCounts tokens;
  std::string_view model; ///< as it was billed
  bool partial = false;   ///< estimated: the upstream did not say all of it
};

/// Names a hold. Never given twice, not after a restart either.
enum class HoldId : std::uint64_t {};

struct Refused {
  enum class By : std::uint8_t { UserDay, UserMonth, GlobalDay, GlobalMonth, Journal };
  By by;
  std::int64_t resetsAtMs = 0; ///< wall clock; of the strictest limit that refused; 0 for Journal
  std::string why;             ///< Journal: one sentence for the operator
};

/// What somebody has spent and holds. Days and months are those of UTC.
struct Spend {
  Money day, month, held;
};

/// The one authority for money. All of it [any-thread]; nothing waits for the database or for the disk's own cache.
class Ledger {
public:
  /// Against the user's day and month and everybody's, all or none; written down before it returns, so that a process
  /// that is killed then forgets nothing.
  std::variant<HoldId, Refused> reserve(const CallFacts &call, Money hold);
  /// Makes a hold larger, if the limits allow that.
  bool raise(HoldId id, Money hold) noexcept;
  /// Takes the hold back and books the cost; the row reaches the disk within 200 ms. Once for each hold.
  void settle(HoldId id, const Settlement &settlement) noexcept;
  /// Takes it back; nothing was spent, and nothing is written down.
  void release(HoldId id) noexcept;

  Spend spendOf(std::string_view instanceId) const;
  Spend total() const;
};

} // namespace matrixos::gateway
