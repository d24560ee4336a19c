/// What one row of the log says, and how rows hang together.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::audit {

/// An event as it is kept.
struct Record {
  std::string at;        ///< RFC 3339 in UTC with milliseconds
  std::string principal; ///< "" when nobody is known
  std::string handle;    ///< "" when it is about no instance
  std::string action;
  std::string event; ///< all else, as JSON
};

/// A row's place in the chain. The first row follows the link of number 0.
struct Link {
  std::int64_t seq = 0;
  std::string hash = std::string(64, '0');

  bool operator==(const Link &other) const = default;
};

struct Row {
  Record record;
  Link link;
};

/// Checks an event (abi/audit.h) that came at `atMs`. Throws Error(InvalidArgument) with what is wrong.
Record readEvent(std::string_view json, std::int64_t atMs);

/// An event of this plugin's own, with a few texts about it.
Record ownEvent(std::string_view action, const std::vector<std::pair<const char *, std::string>> &given,
                std::int64_t atMs);

/// A text of a record's `given`; "" when it is not there.
std::string givenText(const Record &record, const std::string &name);

/// SHA-256, in hexadecimal, of the hash before, the row's number and the five texts of the record, each but the last
/// followed by a line feed, which none of them holds but the last.
std::string chainHash(const std::string &before, std::int64_t seq, const Record &record);

/// The row that follows `before`.
Row chain(const Link &before, std::int64_t seq, Record record);

/// As GET /audit shows it: one object with the event's members.
std::string shownJson(const Row &row);
/// As it is exported: the very texts that were hashed.
std::string exportedJson(const Row &row);

/// Actions of this plugin's own.
inline constexpr const char *kSource = "audit";
inline constexpr const char *kCut = "audit cut";          ///< given: seq, hash of the last row that was removed
inline constexpr const char *kBroken = "audit broken";    ///< given: seq, hash that should have stood last
inline constexpr const char *kLeftOut = "audit left out"; ///< given: count

} // namespace matrixos::audit
