#include "isolation/FrameCodec.h"

#include <matrixos/status.hpp>

#include <array>
#include <utility>

namespace matrixos::isolation {

void refuseFrame(const std::string &what) {
  throw Error(Status::InvalidArgument, what, "PROTOCOL");
}

void FrameWriter::operator()(const std::string_view &text, std::size_t most) {
  if (text.size() > most) {
    refuseFrame("a text of " + std::to_string(text.size()) + " bytes is too long, at most " + std::to_string(most));
  }
  (*this)(static_cast<std::uint32_t>(text.size()));
  bytes_.append(text);
}

std::string FrameWriter::finish() {
  const std::size_t length = bytes_.size() - kHeaderSize;
  if (length > kMaxFrame) refuseFrame("a frame of " + std::to_string(length) + " bytes is too long");
  for (std::size_t i = 0; i < 4; ++i)
    bytes_[i] = static_cast<char>(length >> (8 * i) & 0xFFU);
  return std::move(bytes_);
}

std::string_view FrameReader::take(std::size_t count) {
  if (rest_.size() < count) refuseFrame("a frame ends too early");
  const std::string_view taken = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return taken;
}

void FrameReader::operator()(std::string_view &text, std::size_t most) {
  std::uint32_t length = 0;
  (*this)(length);
  if (length > most) refuseFrame("a text claims " + std::to_string(length) + " bytes");
  text = take(length);
}

void FrameReader::end() const {
  if (!rest_.empty()) refuseFrame("a frame has " + std::to_string(rest_.size()) + " bytes too many");
}

FrameHeader FrameHeader::read(std::string_view bytes) {
  FrameReader reader(bytes.substr(0, kHeaderSize));
  std::uint32_t length = 0;
  std::array<std::uint8_t, 4> rest{};
  reader(length);
  for (std::uint8_t &byte : rest)
    reader(byte);
  const bool known = (rest[0] >= static_cast<std::uint8_t>(FrameType::Hello) &&
                      rest[0] <= static_cast<std::uint8_t>(FrameType::Event)) ||
                     (rest[0] >= static_cast<std::uint8_t>(FrameType::Result) &&
                      rest[0] <= static_cast<std::uint8_t>(FrameType::UseCredit));
  if (!known || rest[1] != 0 || rest[2] != 0 || rest[3] != 0) {
    refuseFrame("there is no frame of type " + std::to_string(rest[0]));
  }
  if (length > kMaxFrame) refuseFrame("a frame claims " + std::to_string(length) + " bytes");
  return {static_cast<FrameType>(rest[0]), length};
}

} // namespace matrixos::isolation
