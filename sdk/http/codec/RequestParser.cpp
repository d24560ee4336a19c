#include "RequestParser.h"

#include "Grammar.h"

namespace matrixos::http {

namespace {

constexpr std::size_t kMaxMethod = 24;
constexpr std::size_t kMostSkipped = 64; // of empty lines
constexpr std::size_t kVersionSize = 8;  // HTTP/1.1

/// False for anything but HTTP/1.0 and HTTP/1.1.
bool parseVersion(std::string_view text, int &minor) noexcept {
  if (text == "HTTP/1.1")
    minor = 1;
  else if (text == "HTTP/1.0")
    minor = 0;
  else
    return false;
  return true;
}

bool looksLikeVersion(std::string_view text) noexcept {
  return text.size() == kVersionSize && text.substr(0, 5) == "HTTP/" && isDigits(text.substr(5, 1)) && text[6] == '.' &&
         isDigits(text.substr(7, 1));
}

} // namespace

void RequestParser::reset() noexcept {
  scanner_.reset();
  skipped_ = 0;
  error_ = {};
}

ParseResult RequestParser::fail(int status, const char *reason, Limit limit) noexcept {
  error_ = {status, limit, reason};
  return ParseResult::Failed;
}

ParseResult RequestParser::parse(std::string_view data, const HeadLimits &limits, RequestHead &head) {
  // Empty lines before a request are let pass: old clients send them after a body (RFC 9112 §2.2).
  while (skipped_ < kMostSkipped && data.substr(skipped_, 2) == "\r\n")
    skipped_ += 2;
  data.remove_prefix(skipped_);
  if (data.empty() || (skipped_ < kMostSkipped && data == "\r")) return ParseResult::NeedMore;
  // What cannot become a method is refused at its first byte, a TLS greeting for instance.
  if (!isToken(data.substr(0, 1))) return fail(400, "the request does not start with a method");

  const std::size_t maxLine = limits.target + kMaxMethod + kVersionSize + 2;
  switch (scanner_.scan(data, limits.bytes, maxLine)) {
  case HeadScanner::Result::NeedMore:
    return ParseResult::NeedMore;
  case HeadScanner::Result::BareLineFeed:
    return fail(400, "a line feed without a carriage return");
  case HeadScanner::Result::FirstLineTooLong:
    return fail(414, "the request line is too long", Limit::Target);
  case HeadScanner::Result::TooLong:
    return fail(431, "the request header is too large", Limit::HeadBytes);
  case HeadScanner::Result::Complete:
    break;
  }

  head.clear();
  std::optional<Origin> origin;
  const std::string_view text = data.substr(0, scanner_.size() - 2);
  const std::size_t lineEnd = text.find("\r\n");
  if (parseLine(text.substr(0, lineEnd), head, origin) == ParseResult::Failed) return ParseResult::Failed;
  if (head.target.size() > limits.target) return fail(414, "the request target is too long", Limit::Target);
  if (const char *reason = parseFields(text.substr(lineEnd + 2), limits.fields, head.fields)) {
    return head.fields.size() >= limits.fields ? fail(431, reason, Limit::Fields) : fail(400, reason);
  }
  return checkFields(limits, origin, head);
}

ParseResult RequestParser::parseLine(std::string_view line, RequestHead &head, std::optional<Origin> &origin) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return fail(400, "the request line has not three parts");
  head.method = line.substr(0, first);
  if (!isToken(head.method) || head.method.size() > kMaxMethod) return fail(400, "the method is no token");
  const std::string_view version = line.substr(last + 1);
  if (!parseVersion(version, head.minorVersion)) {
    return looksLikeVersion(version) ? fail(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
                                     : fail(400, "the request line does not end with a version");
  }
  return parseTarget(line.substr(first + 1, last - first - 1), head, origin);
}

ParseResult RequestParser::parseTarget(std::string_view target, RequestHead &head, std::optional<Origin> &origin) {
  // Blanks inside the target would make it end elsewhere for a laxer parser.
  if (!isTarget(target)) return fail(400, "a character in the request target that is not allowed there");
  if (head.method == "CONNECT" || head.method == "TRACE") return fail(405, "this method is not served");
  if (target.front() == '/') {
    head.target = target;
    return ParseResult::Complete;
  }
  if (target == "*" && head.method == "OPTIONS") {
    head.target = target;
    return ParseResult::Complete;
  }
  // Absolute-form (RFC 9112 §3.2.2); checkFields() compares its authority with Host.
  const std::size_t scheme = target.find("://");
  if (scheme == std::string_view::npos) return fail(400, "the request target is no path");
  const std::string_view name = target.substr(0, scheme);
  if (!sameText(name, "http") && !sameText(name, "https")) return fail(400, "the request target is no path");
  const std::size_t end = target.find_first_of("/?", scheme + 3);
  origin = Origin::parse(target.substr(0, end));
  if (!origin) return fail(400, "the request target names no host");
  if (end == std::string_view::npos) {
    head.target = "/";
  } else if (target[end] == '/') {
    head.target = target.substr(end);
  } else {
    // An empty path is written as "/" (RFC 9112 §3.2.1).
    ownTarget_.assign("/").append(target.substr(end));
    head.target = ownTarget_;
  }
  return ParseResult::Complete;
}

ParseResult RequestParser::checkFields(const HeadLimits &limits, const std::optional<Origin> &origin,
                                       RequestHead &head) {
  const std::size_t hosts = head.fields.count(Name::Host);
  const bool hostless = hosts == 0 && limits.hostOptional && head.minorVersion == 0;
  if (hosts == 0 && !hostless) return fail(400, "the Host header is missing");
  if (hosts > 1) return fail(400, "more than one Host header");
  head.host = head.fields.value(Name::Host);
  const auto host = Authority::parse(head.host, Authority::defaultPort(origin ? origin->scheme : "http"));
  if (!hostless && !host) return fail(400, "the Host header is malformed");
  if (origin && host && *host != origin->authority) return fail(400, "the target and Host name two hosts");

  if (const char *reason = parseFraming(head.fields, head.minorVersion, head.body)) return fail(400, reason);

  ConnectionOptions options;
  if (!parseConnection(head.fields, options)) return fail(400, "a malformed Connection header");
  // HTTP/1.0 keep-alive is not offered: its framing rests on every hop understanding it (RFC 9112 §C.2.2).
  head.keepAlive = head.minorVersion == 1 && !options.close;

  for (const Field &field : head.fields) {
    if (field.id == Name::Expect) {
      if (head.expectContinue || !sameText(field.value, "100-continue"))
        return fail(417, "the only expectation met here is 100-continue");
      head.expectContinue = head.minorVersion == 1;
    } else if (field.id == Name::Te) {
      head.acceptsTrailers = head.acceptsTrailers || (head.minorVersion == 1 && listHas(field.value, "trailers"));
    }
  }
  return checkUpgrade(head, options.upgrade);
}

ParseResult RequestParser::checkUpgrade(RequestHead &head, bool connectionUpgrade) {
  // Only a whole WebSocket handshake is an upgrade; any other, h2c for one, is served as if it had not been asked.
  const std::string_view protocol = head.fields.value(Name::Upgrade);
  if (!connectionUpgrade || head.minorVersion != 1 || !sameText(protocol, "websocket")) return ParseResult::Complete;
  if (head.fields.count(Name::Upgrade) != 1) return fail(400, "more than one Upgrade header");
  if (head.method != "GET") return fail(400, "a WebSocket handshake has to be a GET");
  if (head.body.kind == BodyKind::Chunked || head.body.length != 0)
    return fail(400, "a WebSocket handshake with a body");
  if (head.fields.count(Name::SecWebSocketKey) != 1 || head.fields.value(Name::SecWebSocketKey).size() != 24) {
    return fail(400, "a WebSocket handshake without a valid Sec-WebSocket-Key");
  }
  if (head.fields.value(Name::SecWebSocketVersion) != "13")
    return fail(426, "only WebSocket version 13 is spoken here");
  head.body = {};
  head.upgradeWebSocket = true;
  return ParseResult::Complete;
}

} // namespace matrixos::http
