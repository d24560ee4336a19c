/// http/codec/RequestParser.h: the strict parser of request heads.
#pragma once

#include "Authority.h"
#include "Head.h"
#include "HeadScanner.h"

#include <cstdint>
#include <optional>
#include <string>

namespace matrixos::http {

/// Parses one request head in place. Everything that two parsers could read differently is refused (RFC 9112 §3, §5,
/// §6, §11.2): what comes out has one meaning.
///
///   RequestParser parser;
///   switch (parser.parse(bytes, limits, head)) { … }      // again with more bytes after NeedMore
///
/// Not thread-safe; reuse it for the next request after reset().
class RequestParser {
public:
  void reset() noexcept;

  /// `data` holds all bytes since the end of the message before. The spans of `head` are set by the call that answers
  /// Complete and point into its `data`, the target perhaps into this parser.
  ParseResult parse(std::string_view data, const HeadLimits &limits, RequestHead &head);

  /// After Complete: how many bytes the head took, with empty lines ahead of it.
  std::size_t size() const noexcept { return skipped_ + scanner_.size(); }
  /// After Failed. The connection cannot be used any further.
  const ParseError &error() const noexcept { return error_; }

private:
  ParseResult fail(int status, const char *reason, Limit limit = Limit::None) noexcept;
  // `origin`: of an absolute-form target.
  ParseResult parseLine(std::string_view line, RequestHead &head, std::optional<Origin> &origin);
  ParseResult parseTarget(std::string_view target, RequestHead &head, std::optional<Origin> &origin);
  ParseResult checkFields(const HeadLimits &limits, const std::optional<Origin> &origin, RequestHead &head);
  ParseResult checkUpgrade(RequestHead &head, bool connectionUpgrade);

  HeadScanner scanner_;
  std::uint32_t skipped_ = 0;
  std::string ownTarget_; // where it cannot be a part of the bytes that came
  ParseError error_;
};

} // namespace matrixos::http
