/// http/codec/Head.h: what the head of a message says, after the strict checks.
#pragma once

#include "Field.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace matrixos::http {

/// Caps on one head. A request that exceeds them is answered 431, or 414 for its target; a response becomes 502.
struct HeadLimits {
  std::size_t bytes = 16 * 1024; ///< whole head, from the first byte to the empty line
  std::size_t fields = 100;
  std::size_t target = 8 * 1024; ///< request line, without method and version
  bool hostOptional = false;     ///< an HTTP/1.0 request may come without Host (RFC 9112 §3.2)
};

/// How the body's end is found (RFC 9112 §6.3).
enum class BodyKind : std::uint8_t {
  None,
  Length,
  Chunked,
  UntilClose, ///< responses only
};

struct BodyFraming {
  BodyKind kind = BodyKind::None;
  std::uint64_t length = 0; ///< for BodyKind::Length

  /// Nothing follows the head: a length of 0 is no body either.
  bool isEmpty() const noexcept { return kind == BodyKind::None || (kind == BodyKind::Length && length == 0); }
};

/// The member of HeadLimits that a head exceeds.
enum class Limit : std::uint8_t { None, HeadBytes, Fields, Target };

/// Why a message was refused. `reason` is static text, fit for a log or an answer.
struct ParseError {
  int status = 400;
  Limit limit = Limit::None;
  const char *reason = "";
};

/// What the operator calls the limits; null: it has no name.
struct LimitNames {
  const char *bytes = nullptr;
  const char *fields = nullptr;
  const char *target = nullptr;
};

/// The reason, with the limit that was exceeded: "the request header is too large; max_header allows 4096 bytes".
std::string sentenceOf(const ParseError &error, const HeadLimits &limits, const LimitNames &names);

enum class ParseResult : std::uint8_t { NeedMore, Complete, Failed };

/// A request head. The spans point into the parsed buffer and live as long as those bytes stay where they are.
struct RequestHead {
  std::string_view method;
  std::string_view target; ///< origin-form, or "*" for OPTIONS; never empty
  std::string_view host;   ///< the one Host value, syntactically valid
  int minorVersion = 1;
  bool keepAlive = true;
  bool expectContinue = false;
  bool upgradeWebSocket = false; ///< a complete, valid WebSocket handshake (RFC 6455 §4.2.1)
  bool acceptsTrailers = false;  ///< TE: trailers
  BodyFraming body;
  FieldList fields;

  bool isHead() const noexcept { return method == "HEAD"; }
  /// Target up to the "?".
  std::string_view path() const noexcept { return target.substr(0, target.find('?')); }
  void clear() noexcept;
};

/// A response head; the same life of its spans.
struct ResponseHead {
  int status = 0;
  int minorVersion = 1;
  bool keepAlive = true;         ///< the connection can be used again: its sender lets us, and nothing may follow
  bool upgradeWebSocket = false; ///< a 101 whose Upgrade and Connection fields name websocket
  BodyFraming body;
  BodyFraming announced; ///< what may be passed on; differs from `body` in answers to HEAD and in 304
  FieldList fields;

  bool isInterim() const noexcept { return status < 200 && status != 101; }
  void clear() noexcept;
};

/// True for the methods that only read (RFC 9110 §9.2.1), of those that are served.
bool isSafe(std::string_view method) noexcept;

/// True for the methods that may be sent twice with the effect of once (RFC 9110 §9.2.2).
bool isIdempotent(std::string_view method) noexcept;

/// The usual phrase of a status; "Status" for unknown ones. Never the sender's own.
std::string_view reasonPhrase(int status) noexcept;

} // namespace matrixos::http
