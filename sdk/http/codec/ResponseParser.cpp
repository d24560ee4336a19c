#include "ResponseParser.h"

#include "Grammar.h"

namespace matrixos::http {

void ResponseParser::reset() noexcept {
  scanner_.reset();
  error_ = {};
}

ParseResult ResponseParser::fail(const char *reason) noexcept {
  error_ = {.status = 502, .reason = reason};
  return ParseResult::Failed;
}

ParseResult ResponseParser::parse(std::string_view data, const HeadLimits &limits, bool toHead, ResponseHead &head) {
  constexpr std::string_view kStart = "HTTP/1.";
  const std::size_t start = data.size() < kStart.size() ? data.size() : kStart.size();
  if (data.substr(0, start) != kStart.substr(0, start)) return fail("the answer is not HTTP/1");

  switch (scanner_.scan(data, limits.bytes, limits.bytes)) {
  case HeadScanner::Result::NeedMore:
    return ParseResult::NeedMore;
  case HeadScanner::Result::BareLineFeed:
    return fail("a line feed without a carriage return");
  case HeadScanner::Result::FirstLineTooLong:
  case HeadScanner::Result::TooLong:
    return fail("the answer's header is too large");
  case HeadScanner::Result::Complete:
    break;
  }

  head.clear();
  const std::string_view text = data.substr(0, scanner_.size() - 2);
  const std::size_t lineEnd = text.find("\r\n");
  if (parseLine(text.substr(0, lineEnd), head) == ParseResult::Failed) return ParseResult::Failed;
  if (const char *reason = parseFields(text.substr(lineEnd + 2), limits.fields, head.fields)) return fail(reason);
  return checkFields(toHead, head);
}

ParseResult ResponseParser::parseLine(std::string_view line, ResponseHead &head) {
  // "HTTP/1.1 200 OK"; the phrase, and the blank before it, may be absent (RFC 9112 §4).
  const std::string_view version = line.substr(0, 8);
  if (version == "HTTP/1.1")
    head.minorVersion = 1;
  else if (version == "HTTP/1.0")
    head.minorVersion = 0;
  else
    return fail("the answer is neither HTTP/1.0 nor HTTP/1.1");
  if (line.size() < 12 || line[8] != ' ' || !isDigits(line.substr(9, 3))) return fail("a malformed status line");
  if (line.size() > 12 && (line[12] != ' ' || !isFieldValue(line.substr(12)))) return fail("a malformed status line");
  head.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  if (head.status < 100 || head.status > 599) return fail("a status outside 100 to 599");
  return ParseResult::Complete;
}

ParseResult ResponseParser::checkFields(bool toHead, ResponseHead &head) {
  BodyFraming said;
  const char *malformed = parseFraming(head.fields, head.minorVersion, said);
  // Such an answer ends with its head, whatever its fields say (RFC 9112 §6.3, first rule).
  const bool bodyless = head.status < 200 || head.status == 204 || head.status == 304;
  if (malformed != nullptr && !bodyless) return fail(malformed);

  ConnectionOptions options;
  if (!parseConnection(head.fields, options)) return fail("a malformed Connection header");
  head.keepAlive = head.minorVersion == 1 ? !options.close : options.keepAlive;

  if (bodyless) {
    // The length of a 304 is that of what it stands for (RFC 9110 §8.6). Any other says that its sender may go on.
    const bool innocent = malformed == nullptr && said.kind != BodyKind::Chunked;
    if (innocent && head.status == 304)
      head.announced = said;
    else if (!innocent || said.length != 0)
      head.keepAlive = false;
  } else {
    head.announced = said;
    if (toHead)
      head.body = {};
    else if (said.kind == BodyKind::None)
      head.body.kind = BodyKind::UntilClose;
    else
      head.body = said;
  }
  if (head.body.kind == BodyKind::UntilClose) head.keepAlive = false;

  if (head.status == 101) {
    head.upgradeWebSocket = options.upgrade && head.minorVersion == 1 && head.fields.count(Name::Upgrade) == 1 &&
                            sameText(head.fields.value(Name::Upgrade), "websocket") &&
                            head.fields.count(Name::SecWebSocketAccept) == 1;
  }
  return ParseResult::Complete;
}

} // namespace matrixos::http
