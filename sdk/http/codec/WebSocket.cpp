#include "WebSocket.h"

#include <matrixos/text/base64.hpp>

#include <Poco/SHA1Engine.h>
#include <sys/random.h>

#include <algorithm>

namespace matrixos::http {

namespace {

constexpr unsigned kMasked = 0x80;
constexpr unsigned kLengthBits = 0x7F;

/// Bytes of a header whose first two bytes are known.
std::size_t headerSize(unsigned second) noexcept {
  const unsigned length = second & kLengthBits;
  return 2U + (length == 126 ? 2U : length == 127 ? 8U : 0U) + ((second & kMasked) != 0 ? 4U : 0U);
}

} // namespace

std::string webSocketAccept(std::string_view key) {
  static constexpr std::string_view kMagic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  Poco::SHA1Engine engine;
  engine.update(key.data(), key.size());
  engine.update(kMagic.data(), kMagic.size());
  const auto &digest = engine.digest();
  return base64Encode({reinterpret_cast<const char *>(digest.data()), digest.size()});
}

std::string webSocketClose(std::uint16_t code, bool masked) {
  std::array<unsigned char, 4> key{};
  // Guessing the key of two known bytes gains nothing; zeros would do as well.
  if (masked) [[maybe_unused]]
    const auto got = ::getrandom(key.data(), key.size(), GRND_NONBLOCK);
  const auto byte = [](unsigned value) { return static_cast<char>(static_cast<unsigned char>(value)); };
  std::string frame{byte(0x88), byte(masked ? kMasked | 2U : 2U)};
  if (masked) frame.append(reinterpret_cast<const char *>(key.data()), key.size());
  frame += byte((code >> 8U) ^ key[0]);
  frame += byte((code & 0xFFU) ^ key[1]);
  return frame;
}

std::uint64_t FrameCounter::feed(std::string_view bytes) noexcept {
  std::uint64_t found = 0;
  while (!bytes.empty() && !lost_)
    bytes.remove_prefix(step(bytes, found));
  return found;
}

std::size_t FrameCounter::feedToBoundary(std::string_view bytes) noexcept {
  std::size_t taken = 0;
  std::uint64_t found = 0; // none begins: this ends before the next one
  while (taken < bytes.size() && !lost_ && !atBoundary())
    taken += step(bytes.substr(taken), found);
  return taken;
}

/// Takes a piece of a payload, or one byte of a header; adds to `found` the data frame whose header is complete then.
std::size_t FrameCounter::step(std::string_view bytes, std::uint64_t &found) noexcept {
  if (skip_ != 0) {
    const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, bytes.size()));
    skip_ -= piece;
    return piece;
  }
  if (have_ < header_.size()) header_[have_] = static_cast<unsigned char>(bytes.front());
  ++have_;
  if (have_ >= 2 && have_ == headerSize(header_[1])) lost_ = !takeHeader(found);
  return 1;
}

bool FrameCounter::takeHeader(std::uint64_t &found) noexcept {
  have_ = 0;
  const unsigned opcode = header_[0] & 0x0FU;
  const bool control = (opcode & 0x8U) != 0;
  const unsigned length = header_[1] & kLengthBits;
  if ((opcode > 2 && opcode < 8) || opcode > 10) return false;
  if (control && length > 125) return false;
  closed_ = closed_ || opcode == 8;
  skip_ = length;
  if (length >= 126) {
    skip_ = 0;
    const std::size_t size = length == 126 ? 2 : 8;
    for (std::size_t i = 0; i < size; ++i)
      skip_ = (skip_ << 8U) | header_[2 + i];
    if ((skip_ >> 63U) != 0) return false;
  }
  if (!control) ++found;
  return true;
}

} // namespace matrixos::http
