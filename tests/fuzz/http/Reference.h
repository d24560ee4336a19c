/// A second opinion on what HTTP/1.1 is: a parser that shares no line with the one under test, knows only what the edge
/// may write, and takes nothing else.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::http::fuzz {

struct Message {
  std::string method; ///< of a request
  std::string target;
  int status = 0;                                          ///< of a response
  std::vector<std::pair<std::string, std::string>> fields; ///< names in lower case
  std::string body;
  bool whole = false; ///< false: the stream ended inside of it

  /// The last value of that name; empty when there is none.
  std::string field(std::string_view lowerName) const;
  std::size_t count(std::string_view lowerName) const;
};

/// All requests of a stream. Throws std::logic_error when it is anything but requests one after the other, the last
/// one perhaps not whole. Behind a WebSocket handshake a tunnel may begin, which the first thing shows that is no
/// request with the field `mark` (in lower case).
std::vector<Message> readRequests(std::string_view stream, std::string_view mark);

/// The requests up to the first byte that this parser does not like, which sets `clean` to false: what it does not know
/// may still be right.
std::vector<Message> readCleanRequests(std::string_view stream, bool &clean);

/// The same as readRequests for what answers requests of these methods, in their order; `closed`: the stream has come
/// to its end. Answers without a request to them are an error. What follows a 101 is not looked at.
std::vector<Message> readResponses(std::string_view stream, const std::vector<std::string> &methods, bool closed);

} // namespace matrixos::http::fuzz
