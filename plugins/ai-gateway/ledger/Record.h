#pragma once

#include "../money/Money.h"
#include "../money/TokenCounts.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace matrixos::gateway {

/// A text of at most `Size` bytes of UTF-8, in place.
template <std::size_t Size>
class ShortText {
public:
  ShortText() = default;
  /// What is too long is cut; control characters, and all that is not ASCII in what is not UTF-8, become question
  /// marks.
  explicit ShortText(std::string_view text) noexcept;

  std::string_view view() const noexcept { return {bytes_.data(), size_ <= Size ? size_ : 0U}; }
  bool valid() const noexcept { return size_ <= Size; }

private:
  static_assert(Size < 256);
  std::uint8_t size_ = 0;
  std::array<char, Size> bytes_{};
};

extern template class ShortText<26>;
extern template class ShortText<32>;
extern template class ShortText<63>;

/// A call as it stands in a slot, byte by byte: what is held for it, and once it is settled what its row says.
struct Record {
  enum class State : std::uint8_t { Reserved = 1, Settled = 2 };

  std::uint64_t id = 0;
  std::int64_t atMs = 0; ///< when it was reserved, as it is booked
  Money hold, cost;
  TokenCounts tokens;
  State state = State::Reserved;
  bool worstCase = true;
  bool partial = false;
  std::uint8_t reserved = 0;
  ShortText<26> instance;
  ShortText<32> handle;
  ShortText<63> model, session;

  /// Without a settlement nobody knows what it cost: then it is what was held.
  void chargeHold() noexcept;
};

static_assert(std::is_trivially_copyable_v<Record>);
static_assert(sizeof(Record) == 248);

} // namespace matrixos::gateway
