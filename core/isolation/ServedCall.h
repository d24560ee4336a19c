#pragma once

#include "common/CallContext.h"
#include "isolation/Frames.h"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::isolation {

/// A call that came as a frame, from its frame to its answer, on either side. Its texts are copies, since it may take
/// its time. Thread-safe.
class ServedCall {
public:
  enum class Admission {
    Wanted,
    Unwanted, ///< now and later
    TooLarge, ///< to be sent at all
    Stalled,  ///< the caller has taken nothing for as long as it may
  };

  explicit ServedCall(const CallFrame &frame);

  const std::uint64_t id;
  const std::uint8_t function; ///< its number on the wire
  const std::uint16_t slot;
  const std::vector<std::string> texts;
  const std::vector<std::int64_t> numbers;

  const mos_call *context() const noexcept { return context_.abi(); }

  /// Nobody wants its answer, or further items.
  void stop();
  /// Allows items of that cost more.
  void allow(std::uint32_t cost);
  /// Whether admit() would wait.
  bool mustWait(std::string_view item) const;
  /// Waits until the caller takes the item, at most `patience`.
  Admission admit(std::string_view item, std::chrono::milliseconds patience = std::chrono::milliseconds::max());

  /// The frame that ends it, of `type`; a failure where there is too much to say.
  std::string answer(FrameType type, mos_status status, mos_error &error, const std::string &json,
                     std::uint64_t number = 0) const;

private:
  common::CallContext context_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::uint32_t credit_ = kStreamWindow;
  bool stopped_ = false;
  std::string failure_; ///< why its stream was cut off
};

/// The frame of `type` that answers `id`; a failure where the answer is too long.
std::string encodeResult(FrameType type, std::uint64_t id, mos_status status, mos_error &error, std::string_view json,
                         std::uint64_t number = 0);

} // namespace matrixos::isolation
