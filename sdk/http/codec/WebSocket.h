/// http/codec/WebSocket.h: as much of RFC 6455 as a relay needs.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace matrixos::http {

/// The Sec-WebSocket-Accept that answers a key (RFC 6455 §4.2.2).
std::string webSocketAccept(std::string_view key);

/// A whole close frame with a status code (§5.5.1, §7.4.1); masked as what goes to a server has to be (§5.3).
std::string webSocketClose(std::uint16_t code, bool masked);

/// Walks over the frames of one direction and counts those that carry data, so that pings are not taken for use. It
/// reads opcode and length only; payloads pass unread. Not thread-safe.
class FrameCounter {
public:
  /// The next bytes in order, in any split. Returns how many text, binary or continuation frames began in them.
  std::uint64_t feed(std::string_view bytes) noexcept;

  /// As feed(), but no further than the end of the frame that is under way. Returns how many bytes that took.
  std::size_t feedToBoundary(std::string_view bytes) noexcept;

  /// Between two frames, where one of our own may stand.
  bool atBoundary() const noexcept { return !lost_ && have_ == 0 && skip_ == 0; }
  /// A close frame has begun: nothing may follow it.
  bool closed() const noexcept { return closed_; }
  /// True once a header made no sense; nothing is counted from there on.
  bool lost() const noexcept { return lost_; }

private:
  std::size_t step(std::string_view bytes, std::uint64_t &found) noexcept;
  bool takeHeader(std::uint64_t &found) noexcept;

  std::array<unsigned char, 10> header_{}; // the mask, which comes last, is not kept
  std::uint8_t have_ = 0;                  // bytes of the current header
  bool lost_ = false;
  bool closed_ = false;
  std::uint64_t skip_ = 0; // payload still to come
};

} // namespace matrixos::http
