/// Keeps the platform's keys out of an answer.
#pragma once

#include "KeyList.h"

#include <memory>
#include <string>
#include <string_view>

namespace matrixos::gateway {

/// Puts `x` in the place of every key that an upstream repeats, so that the length stays. Only what may be the
/// beginning of a key waits for the next piece: an event of a stream ends with a line break, and is never held back.
class KeyScrubber {
public:
  /// Null: there is nothing to hide.
  explicit KeyScrubber(std::shared_ptr<const KeyList> keys) : keys_(std::move(keys)) {}

  /// What is sent in place of the next piece of the answer; valid until the next call. `last`: nothing follows.
  std::string_view pass(std::string_view piece, bool last);
  /// What waits.
  std::string_view held() const noexcept { return held_; }

private:
  std::shared_ptr<const KeyList> keys_;
  std::string held_;
  std::string text_;
};

} // namespace matrixos::gateway
