/// What travels between the daemon and matrixos-plugin-host. See README.md for who sends what.
#pragma once

#include "isolation/FrameCodec.h"

#include <matrixos/abi/host.h>
#include <matrixos/abi/service.h>
#include <matrixos/status.hpp>

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::isolation {

/// Both programs are built and installed together; a change of any frame is a new number.
constexpr std::uint32_t kProtocolVersion = 4;
constexpr std::uint32_t kHelloMagic = 0x31504f4d; // "MOP1"

/// Items of one stream that may be on their way, by their cost. A larger one travels alone.
constexpr std::uint32_t kStreamWindow = 128U * 1024U;
/// Of one function.
constexpr std::size_t kMaxParameters = MOS_MOST_PARAMETERS;
/// An empty item takes memory too.
inline std::uint32_t itemCost(std::string_view item) noexcept {
  return static_cast<std::uint32_t>(item.size()) + 64;
}

// Each message names its fields once, for writing and for reading. Texts are borrowed.

/// The effective configuration of a plugin that shall look at it (SectionCheck). Not between running processes.
struct SectionFrame {
  static constexpr FrameType kType = FrameType::Section;
  static constexpr std::uint8_t kInteger = 1, kNumber = 2, kList = 4;
  struct Value {
    std::string_view key, text;
    std::uint8_t kinds = 0; ///< as what else it may be read
    std::int64_t integer = 0;
    double number = 0;
    std::vector<std::string_view> items;
  };
  std::vector<Value> values;
  static void fields(auto &f, auto &a) {
    a(f.values, 4 * kMaxEntries, [](auto &value, auto &to) {
      to(value.key, kMaxWord), to(value.text, kMaxItem), to(value.kinds), to(value.integer), to(value.number);
      to(value.items, kMaxItem, [](auto &item, auto &each) { each(item, kMaxItem); });
    });
  }
};

/// First in both directions.
struct HelloFrame {
  static constexpr FrameType kType = FrameType::Hello;
  std::uint32_t magic = kHelloMagic;
  std::uint32_t protocol = kProtocolVersion;
  std::uint32_t abiMajor = 0, hostMinor = 0;
  static void fields(auto &f, auto &a) { a(f.magic), a(f.protocol), a(f.abiMajor), a(f.hostMinor); }
};

/// Calls a function of the plugin (Functions.h). Answered by one Result, after any Items.
/// As Use: the plugin calls a service of others that it has acquired. Answered by UseResult, after any UseItems; where
/// the function takes a completion, the last number is one that UseDone has for its id then.
struct CallFrame {
  static constexpr FrameType kType = FrameType::Call;
  std::uint64_t id = 0; ///< counts up, never used twice on a connection
  std::uint8_t function = 0;
  std::uint16_t slot = 0;      ///< which of the descriptor's provides; of a Use: which of the acquired tables
  std::int64_t deadlineNs = 0; ///< on CLOCK_MONOTONIC, which both processes share
  std::string_view operationId, traceId;
  std::vector<std::string_view> texts; ///< the function's, in their order
  std::vector<std::int64_t> numbers;   ///< the same
  static void fields(auto &f, auto &a) {
    a(f.id), a(f.function), a(f.slot), a(f.deadlineNs), a(f.operationId, kMaxWord), a(f.traceId, kMaxWord);
    a(f.texts, kMaxParameters, [](auto &text, auto &to) { to(text, kMaxText); });
    a(f.numbers, kMaxParameters, [](auto &number, auto &to) { to(number); });
  }
};

/// The caller no longer wants it. Also as UseCancel. `stopSink`: its sink answered stop.
struct CancelFrame {
  static constexpr FrameType kType = FrameType::Cancel;
  std::uint64_t id = 0;
  std::uint8_t stopSink = 0;
  static void fields(auto &f, auto &a) { a(f.id), a(f.stopSink); }
};

/// Allows items of that cost more. Also as UseCredit.
struct CreditFrame {
  static constexpr FrameType kType = FrameType::Credit;
  std::uint64_t id = 0;
  std::uint32_t cost = 0;
  static void fields(auto &f, auto &a) { a(f.id), a(f.cost); }
};

/// All of mos_error.
struct FrameError {
  std::int32_t status = MOS_OK;
  std::int64_t retryAfterMs = 0;
  std::string_view reason, message;
  static void fields(auto &f, auto &a) {
    a(f.status), a(f.retryAfterMs), a(f.reason, MOS_REASON_SIZE - 1), a(f.message, MOS_MESSAGE_SIZE - 1);
  }
  /// Of a call's status and error; views into `error`.
  static FrameError of(mos_status status, const mos_error &error) noexcept;
  /// Writes itself into `error`, which may be null, and gives the status; MOS_UNKNOWN for numbers that are none.
  mos_status give(mos_error *error) const noexcept;
};

/// Also as UseResult and as UseDone.
struct ResultFrame {
  static constexpr FrameType kType = FrameType::Result;
  std::uint64_t id = 0;
  FrameError failure;
  std::int64_t number = 0; ///< where the function answers one
  std::string_view json;
  static void fields(auto &f, auto &a) { a(f.id), FrameError::fields(f.failure, a), a(f.number), a(f.json, kMaxText); }
};

/// Also as UseItem.
struct ItemFrame {
  static constexpr FrameType kType = FrameType::Item;
  std::uint64_t id = 0;
  std::string_view item;
  static void fields(auto &f, auto &a) { a(f.id), a(f.item, kMaxItem); }
};

struct ProvideFrame {
  static constexpr FrameType kType = FrameType::Provide;
  std::uint16_t slot = 0;
  std::uint32_t minor = 0;
  static void fields(auto &f, auto &a) { a(f.slot), a(f.minor); }
};

/// Something happened that the plugin subscribed to.
struct EventFrame {
  static constexpr FrameType kType = FrameType::Event;
  std::int64_t subscription = 0; ///< the number that the plugin gave it
  std::string_view topic, json;
  static void fields(auto &f, auto &a) { a(f.subscription), a(f.topic, kMaxWord), a(f.json, kMaxText); }
};

using Pair = std::pair<std::string_view, std::string_view>;

/// Borrowing what they borrow. Of what comes in, all over kMaxEntries is left out.
std::vector<mos_pair> toPairs(const std::vector<Pair> &list);
std::vector<Pair> fromPairs(const mos_pair *pairs, std::uint32_t count);

/// A field of a log line, as mos_field.
struct LogField {
  std::string_view key, text;
  std::int64_t integer = 0;
  double real = 0;
  std::uint32_t type = MOS_FIELD_TEXT;
};

struct LogFrame {
  static constexpr FrameType kType = FrameType::Log;
  std::uint32_t level = 0;
  std::string_view message;
  std::vector<LogField> list;
  static void fields(auto &f, auto &a) {
    a(f.level), a(f.message, kMaxItem);
    a(f.list, kMaxEntries,
      [](auto &l, auto &to) { to(l.key, kMaxWord), to(l.text, kMaxItem), to(l.integer), to(l.real), to(l.type); });
  }
};

/// From now on messages of this level and below are wanted.
struct LogLevelFrame {
  static constexpr FrameType kType = FrameType::LogLevel;
  std::uint32_t level = 0;
  static void fields(auto &f, auto &a) { a(f.level); }
};

/// Names a metric's series; Samples refer to it by its number, which counts up from 0. Answered like an Ask.
struct SeriesFrame {
  static constexpr FrameType kType = FrameType::Series;
  std::uint64_t id = 0;
  std::uint32_t number = 0, type = 0;
  std::string_view name, help;
  std::vector<Pair> labels;
  std::vector<double> buckets;
  static void fields(auto &f, auto &a) {
    a(f.id), a(f.number), a(f.type), a(f.name, kMaxWord), a(f.help, kMaxWord);
    a(f.labels, kMaxEntries, [](auto &p, auto &to) { to(p.first, kMaxWord), to(p.second, kMaxWord); });
    a(f.buckets, kMaxEntries, [](auto &bound, auto &to) { to(bound); });
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
  static void fields(auto &f, auto &a) {
    a(f.list, kMost, [](auto &s, auto &to) { to(s.series), to(s.sets), to(s.value); });
  }
};

/// What the plugin asks of its host and waits for.
enum class Question : std::uint8_t {
  ConfigString = 1,
  ConfigInt,
  ConfigNumber,
  ConfigList,
  PlatformInfo,
  Degraded,    ///< first: the reason
  Publish,     ///< first: the topic; second: the JSON
  KvGet,       ///< first: the key
  KvPut,       ///< first: the key; second: the value; number: the expected version
  KvRemove,    ///< first: the key; number: the expected version
  KvList,      ///< first: the prefix; second: the key after which it goes on
  Acquire,     ///< first: a service; second: the instance; answered with the number of a table
  Release,     ///< number: of a table
  Declared,    ///< first: a service
  Subscribe,   ///< first: the prefix of topics; number: what events of it shall have
  Unsubscribe, ///< number: the same
};

/// These wait for a disk, and are answered when that is done.
constexpr bool takesTime(std::uint8_t question) noexcept {
  return question >= static_cast<std::uint8_t>(Question::KvGet) &&
         question <= static_cast<std::uint8_t>(Question::KvList);
}

/// A key of the plugin's with its value.
struct KvEntry {
  std::string_view key, value;
  std::int64_t version = 0;
};

struct AskFrame {
  static constexpr FrameType kType = FrameType::Ask;
  std::uint64_t id = 0;
  std::uint8_t question = 0;
  std::string_view first, second;
  std::int64_t number = 0;
  static void fields(auto &f, auto &a) {
    a(f.id), a(f.question), a(f.first, kMaxWord), a(f.second, kMaxItem), a(f.number);
  }
};

AskFrame question(Question what, std::string_view first = {}, std::string_view second = {}, std::int64_t number = 0);

struct AnswerFrame {
  static constexpr FrameType kType = FrameType::Answer;
  std::uint64_t id = 0;
  FrameError failure;
  std::int64_t integer = 0;
  double number = 0;
  std::string_view text;
  std::vector<std::string_view> list;
  std::vector<KvEntry> entries; ///< a page of them; integer is 1 where more follow
  static void fields(auto &f, auto &a) {
    a(f.id), FrameError::fields(f.failure, a), a(f.integer), a(f.number), a(f.text, kMaxText);
    a(f.list, kMaxEntries, [](auto &item, auto &to) { to(item, kMaxWord); });
    a(f.entries, kMaxEntries, [](auto &e, auto &to) { to(e.key, kMaxWord), to(e.value, kMaxItem), to(e.version); });
  }
};

/// How far the start has come, for messages should the process die: "loading", "create()", "start()".
struct PhaseFrame {
  static constexpr FrameType kType = FrameType::Phase;
  std::string_view name;
  static void fields(auto &f, auto &a) { a(f.name, 32); }
};

} // namespace matrixos::isolation
