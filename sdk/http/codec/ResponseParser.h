/// http/codec/ResponseParser.h: the strict parser of response heads.
#pragma once

#include "Head.h"
#include "HeadScanner.h"

namespace matrixos::http {

/// Parses one response head in place. A response that could be framed in two ways is refused, and becomes 502: the
/// sender may be hostile and its bytes travel on a connection that other responses follow.
class ResponseParser {
public:
  void reset() noexcept;

  /// `data` holds all bytes of this response so far. `toHead`: it answers a HEAD request, so it has no body whatever
  /// its fields say (RFC 9112 §6.3 rule 1).
  ParseResult parse(std::string_view data, const HeadLimits &limits, bool toHead, ResponseHead &head);

  std::size_t size() const noexcept { return scanner_.size(); }
  const ParseError &error() const noexcept { return error_; }

private:
  ParseResult fail(const char *reason) noexcept;
  ParseResult parseLine(std::string_view line, ResponseHead &head);
  ParseResult checkFields(bool toHead, ResponseHead &head);

  HeadScanner scanner_;
  ParseError error_;
};

} // namespace matrixos::http
