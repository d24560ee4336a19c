/// What travels between the daemon and matrixos-plugin-host, and how it is written. See README.md for who sends what.
///
/// A frame is its payload's length (4 bytes), its type (1 byte), three zero bytes, and the payload: fixed-width numbers
/// in little endian, texts with a length of 4 bytes. Every length has a bound that writer and reader both keep, since
/// each side takes the other for hostile.
#pragma once

#include <matrixos/status.hpp>

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace matrixos::isolation {

/// Both programs are built and installed together; a change of any frame is a new number.
constexpr std::uint32_t kProtocolVersion = 1;
constexpr std::uint32_t kHelloMagic = 0x31504f4d; // "MOP1"

constexpr std::size_t kHeaderSize = 8;
constexpr std::size_t kMaxText = 4U << 20U; ///< a spec, a description, an answer
constexpr std::size_t kMaxItem = 1U << 20U; ///< one item of a stream
constexpr std::size_t kMaxWord = 4096;      ///< names, ids, topics, log messages
constexpr std::size_t kMaxEntries = 256;    ///< of any list in a frame
constexpr std::size_t kMaxFrame = 2 * kMaxText + 65536;

/// Items of one stream that may be on their way, by their cost. A larger one travels alone.
constexpr std::uint32_t kStreamWindow = 128U * 1024U;
/// An empty item takes memory too.
inline std::uint32_t itemCost(std::string_view item) noexcept {
  return static_cast<std::uint32_t>(item.size()) + 64;
}

enum class FrameType : std::uint8_t {
  Hello = 1,
  // From the daemon.
  Call = 2,
  Cancel = 3,
  Credit = 4,
  Answer = 5,
  LogLevel = 6,
  // From the plugin's process.
  Result = 16,
  Item = 17,
  Provide = 18,
  Log = 19,
  Series = 20,
  Samples = 21,
  Ask = 22,
  Phase = 23,
};

/// Throws Error(InvalidArgument, "PROTOCOL").
[[noreturn]] void refuseFrame(const std::string &what);

/// Appends fields to a frame. Throws Error(InvalidArgument) for a text beyond its bound.
class FrameWriter {
public:
  explicit FrameWriter(FrameType type) : bytes_(kHeaderSize, '\0') { bytes_[4] = static_cast<char>(type); }

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

// Each message names its fields once, for writing and for reading. Texts are borrowed.

/// First in both directions.
struct HelloFrame {
  static constexpr FrameType kType = FrameType::Hello;
  std::uint32_t magic = kHelloMagic;
  std::uint32_t protocol = kProtocolVersion;
  std::uint32_t abiMajor = 0, hostMinor = 0;
  template <typename Self, typename Archive>
  static void fields(Self &f, Archive &a) {
    a(f.magic), a(f.protocol), a(f.abiMajor), a(f.hostMinor);
  }
};

/// Calls a function of the plugin (Functions.h). Answered by one Result, after any Items.
struct CallFrame {
  static constexpr FrameType kType = FrameType::Call;
  std::uint64_t id = 0; ///< counts up, never used twice on a connection
  std::uint8_t function = 0;
  std::uint16_t slot = 0;      ///< which of the descriptor's provides
  std::int64_t deadlineNs = 0; ///< on CLOCK_MONOTONIC, which both processes share
  std::string_view operationId, traceId;
  std::string_view first, second; ///< the function's texts
  std::int64_t number = 0;        ///< its number
  template <typename Self, typename Archive>
  static void fields(Self &f, Archive &a) {
    a(f.id), a(f.function), a(f.slot), a(f.deadlineNs), a(f.operationId, kMaxWord), a(f.traceId, kMaxWord);
    a(f.first, kMaxText), a(f.second, kMaxText), a(f.number);
  }
};

/// The caller no longer wants it. `stopSink`: its sink answered stop.
struct CancelFrame {
  static constexpr FrameType kType = FrameType::Cancel;
  std::uint64_t id = 0;
  std::uint8_t stopSink = 0;
  template <typename Self, typename Archive>
  static void fields(Self &f, Archive &a) {
    a(f.id), a(f.stopSink);
  }
};

/// Allows items of that cost more.
struct CreditFrame {
  static constexpr FrameType kType = FrameType::Credit;
  std::uint64_t id = 0;
  std::uint32_t cost = 0;
  template <typename Self, typename Archive>
  static void fields(Self &f, Archive &a) {
    a(f.id), a(f.cost);
  }
};

/// All of mos_error.
struct FrameError {
  std::int32_t status = MOS_OK;
  std::int64_t retryAfterMs = 0;
  std::string_view reason, message;
  template <typename Self, typename Archive>
  static void fields(Self &f, Archive &a) {
    a(f.status), a(f.retryAfterMs), a(f.reason, MOS_REASON_SIZE - 1), a(f.message, MOS_MESSAGE_SIZE - 1);
  }
  /// Of a call's status and error; views into `error`.
  static FrameError of(mos_status status, const mos_error &error) noexcept;
  /// Writes itself into `error`, which may be null, and gives the status; MOS_UNKNOWN for numbers that are none.
  mos_status give(mos_error *error) const noexcept;
};

struct ResultFrame {
  static constexpr FrameType kType = FrameType::Result;
  std::uint64_t id = 0;
  FrameError failure;
  std::string_view json;
  template <typename Self, typename Archive>
  static void fields(Self &f, Archive &a) {
    a(f.id), FrameError::fields(f.failure, a), a(f.json, kMaxText);
  }
};

struct ItemFrame {
  static constexpr FrameType kType = FrameType::Item;
  std::uint64_t id = 0;
  std::string_view item;
  template <typename Self, typename Archive>
  static void fields(Self &f, Archive &a) {
    a(f.id), a(f.item, kMaxItem);
  }
};

struct ProvideFrame {
  static constexpr FrameType kType = FrameType::Provide;
  std::uint16_t slot = 0;
  std::uint32_t minor = 0;
  template <typename Self, typename Archive>
  static void fields(Self &f, Archive &a) {
    a(f.slot), a(f.minor);
  }
};

using Pair = std::pair<std::string_view, std::string_view>;

struct LogFrame {
  static constexpr FrameType kType = FrameType::Log;
  std::uint32_t level = 0;
  std::string_view message;
  std::vector<Pair> list;
  template <typename Self, typename Archive>
  static void fields(Self &f, Archive &a) {
    a(f.level), a(f.message, kMaxItem);
    a(f.list, kMaxEntries, [](auto &p, Archive &to) { to(p.first, kMaxWord), to(p.second, kMaxItem); });
  }
};

/// From now on messages of this level and below are wanted.
struct LogLevelFrame {
  static constexpr FrameType kType = FrameType::LogLevel;
  std::uint32_t level = 0;
  template <typename Self, typename Archive>
  static void fields(Self &f, Archive &a) {
    a(f.level);
  }
};

/// Names a metric's series; Samples refer to it by its number, which counts up from 0. Answered like an Ask.
struct SeriesFrame {
  static constexpr FrameType kType = FrameType::Series;
  std::uint64_t id = 0;
  std::uint32_t number = 0, type = 0;
  std::string_view name, help;
  std::vector<Pair> labels;
  std::vector<double> buckets;
  template <typename Self, typename Archive>
  static void fields(Self &f, Archive &a) {
    a(f.id), a(f.number), a(f.type), a(f.name, kMaxWord), a(f.help, kMaxWord);
    a(f.labels, kMaxEntries, [](auto &p, Archive &to) { to(p.first, kMaxWord), to(p.second, kMaxWord); });
    a(f.buckets, kMaxEntries, [](auto &bound, Archive &to) { to(bound); });
  }
};

struct Sample {
  std::uint32_t series = 0;
  std::uint8_t sets = 0; ///< 0: add or observe
  double value = 0;
};

struct SamplesFrame {
  static constexpr FrameType kType = FrameType::Samples;
  static constexpr std::size_t kMost = 4096;
  std::vector<Sample> list;
  template <typename Self, typename Archive>
  static void fields(Self &f, Archive &a) {
    a(f.list, kMost, [](auto &s, Archive &to) { to(s.series), to(s.sets), to(s.value); });
  }
};

/// What the plugin asks of its host and waits for.
enum class Question : std::uint8_t {
  ConfigString = 1,
  ConfigInt,
  ConfigNumber,
  ConfigList,
  PlatformInfo,
  Degraded, ///< first: the reason
  Publish,  ///< first: the topic; second: the JSON
};

struct AskFrame {
  static constexpr FrameType kType = FrameType::Ask;
  std::uint64_t id = 0;
  std::uint8_t question = 0;
  std::string_view first, second;
  template <typename Self, typename Archive>
  static void fields(Self &f, Archive &a) {
    a(f.id), a(f.question), a(f.first, kMaxWord), a(f.second, kMaxItem);
  }
};

struct AnswerFrame {
  static constexpr FrameType kType = FrameType::Answer;
  std::uint64_t id = 0;
  FrameError failure;
  std::int64_t integer = 0;
  double number = 0;
  std::string_view text;
  std::vector<std::string_view> list;
  template <typename Self, typename Archive>
  static void fields(Self &f, Archive &a) {
    a(f.id), FrameError::fields(f.failure, a), a(f.integer), a(f.number), a(f.text, kMaxText);
    a(f.list, kMaxEntries, [](auto &item, Archive &to) { to(item, kMaxWord); });
  }
};

/// How far the start has come, for messages should the process die: "loading", "create()", "start()".
struct PhaseFrame {
  static constexpr FrameType kType = FrameType::Phase;
  std::string_view name;
  template <typename Self, typename Archive>
  static void fields(Self &f, Archive &a) {
    a(f.name, 32);
  }
};

template <typename Frame>
std::string encode(const Frame &frame) {
  FrameWriter writer(Frame::kType);
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

/// A header: type and length of the payload. Throws Error(InvalidArgument, "PROTOCOL") for types that do not exist and
/// for lengths beyond kMaxFrame.
struct FrameHeader {
  FrameType type = FrameType::Hello;
  std::uint32_t length = 0;
  /// `bytes` holds at least kHeaderSize.
  static FrameHeader read(std::string_view bytes);
};

} // namespace matrixos::isolation
