/// How the frames between the daemon and matrixos-plugin-host are written and read.
///
/// A frame is its payload's length (4 bytes), its type (1 byte), three zero bytes, and the payload: fixed-width numbers
/// in little endian, texts with a length of 4 bytes. Every length has a bound that writer and reader both keep, since
/// each side takes the other for hostile.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace matrixos::isolation {

constexpr std::size_t kHeaderSize = 8;
constexpr std::size_t kMaxText = 4U << 20U; ///< a spec, a description, an answer
constexpr std::size_t kMaxItem = 1U << 20U; ///< one item of a stream
constexpr std::size_t kMaxWord = 4096;      ///< names, ids, topics, log messages
constexpr std::size_t kMaxEntries = 256;    ///< of any list in a frame
constexpr std::size_t kMaxFrame = 2 * kMaxText + 65536;

enum class FrameType : std::uint8_t {
  Hello = 1,
  // From the daemon.
  Call = 2,
  Cancel = 3,
  Credit = 4,
  Answer = 5,
  LogLevel = 6,
  UseResult = 7,
  UseItem = 8,
  UseDone = 9,
  Event = 10,
  // From the plugin's process.
  Result = 16,
  Item = 17,
  Provide = 18,
  Log = 19,
  Series = 20,
  Samples = 21,
  Ask = 22,
  Phase = 23,
  Use = 24,
  UseCancel = 25,
  UseCredit = 26,
  // In a file.
  Section = 32,
};

/// Throws Error(InvalidArgument, "PROTOCOL").
[[noreturn]] void refuseFrame(const std::string &what);

/// Appends fields to a frame. Throws Error(InvalidArgument) for a text beyond its bound.
class FrameWriter {
public:
  /// `room`: bytes that it takes without moving what it holds.
  explicit FrameWriter(FrameType type, std::size_t room = 0) {
    bytes_.reserve(kHeaderSize + room);
    bytes_.assign(kHeaderSize, '\0');
    bytes_[4] = static_cast<char>(type);
  }

  template <typename Number, std::enable_if_t<std::is_integral_v<Number>, int> = 0>
  void operator()(const Number &value) {
    auto bits = static_cast<std::make_unsigned_t<Number>>(value);
    for (std::size_t i = 0; i < sizeof bits; ++i, bits = static_cast<decltype(bits)>(std::uint64_t{bits} >> 8U))
      bytes_.push_back(static_cast<char>(bits & 0xFFU));
  }
  void operator()(const double &value) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    (*this)(bits);
  }
  void operator()(const std::string_view &text, std::size_t most);
  template <typename Item, typename Each>
  void operator()(const std::vector<Item> &list, std::size_t most, Each &&each) {
    if (list.size() > most) refuseFrame("a list of " + std::to_string(list.size()) + " entries is too long");
    (*this)(static_cast<std::uint32_t>(list.size()));
    for (const Item &item : list)
      each(item, *this);
  }

  /// The whole frame. Use once.
  std::string finish();

private:
  std::string bytes_;
};

/// Takes fields out of a payload; texts are views into it. Throws Error(InvalidArgument, "PROTOCOL") when it ends too
/// early or a length is out of bounds.
class FrameReader {
public:
  explicit FrameReader(std::string_view payload) : rest_(payload) {}

  template <typename Number, std::enable_if_t<std::is_integral_v<Number>, int> = 0>
  void operator()(Number &value) {
    const std::string_view bytes = take(sizeof(Number));
    std::uint64_t bits = 0;
    for (std::size_t i = bytes.size(); i-- > 0;)
      bits = bits << 8U | static_cast<unsigned char>(bytes[i]);
    value = static_cast<Number>(bits);
  }
  void operator()(double &value) {
    std::uint64_t bits = 0;
    (*this)(bits);
    std::memcpy(&value, &bits, sizeof value);
  }
  void operator()(std::string_view &text, std::size_t most);
  template <typename Item, typename Each>
  void operator()(std::vector<Item> &list, std::size_t most, Each &&each) {
    std::uint32_t count = 0;
    (*this)(count);
    if (count > most) refuseFrame("a list claims " + std::to_string(count) + " entries");
    list.clear();
    for (std::uint32_t i = 0; i < count; ++i)
      each(list.emplace_back(), *this);
  }

  /// Throws when something is left.
  void end() const;

private:
  std::string_view take(std::size_t count);

  std::string_view rest_;
};

/// A header: type and length of the payload. Throws Error(InvalidArgument, "PROTOCOL") for types that do not exist and
/// for lengths beyond kMaxFrame.
struct FrameHeader {
  FrameType type = FrameType::Hello;
  std::uint32_t length = 0;
  /// `bytes` holds at least kHeaderSize.
  static FrameHeader read(std::string_view bytes);
};

/// `room`: as for FrameWriter; a frame with secrets must not leave parts of itself behind as it grows.
template <typename Frame>
std::string encode(const Frame &frame, std::size_t room = 0) {
  FrameWriter writer(Frame::kType, room);
  Frame::fields(frame, writer);
  return writer.finish();
}

/// With another type than its own, where the same fields travel in the other direction.
template <typename Frame>
std::string encode(const Frame &frame, FrameType type) {
  FrameWriter writer(type);
  Frame::fields(frame, writer);
  return writer.finish();
}

/// Throws Error(InvalidArgument, "PROTOCOL") unless the payload is exactly such a frame.
template <typename Frame>
Frame decode(std::string_view payload) {
  Frame frame;
  FrameReader reader(payload);
  Frame::fields(frame, reader);
  reader.end();
  return frame;
}

} // namespace matrixos::isolation
