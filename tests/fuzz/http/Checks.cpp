#include "Checks.h"

#include <http/codec/BodyDecoder.h>
#include <http/codec/HeadWriter.h>
#include <http/codec/HopByHop.h>
#include <http/codec/RequestParser.h>
#include <http/codec/ResponseParser.h>
#include <http/codec/WebSocket.h>
#include <http/engine/ProxyHeader.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace matrixos::http::fuzz {

namespace {

void require(bool holds, const char *what) {
  if (!holds) throw std::logic_error(what);
}

void requireClean(const FieldList &fields) {
  for (const Field &field : fields) {
    require(!field.name.empty(), "a field without a name");
    for (const std::string_view text : {field.name, field.value}) {
      require(text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos, "a line break in a field");
    }
  }
}

/// Writes what a proxy would send upstream.
std::string rewrite(RequestHead &head) {
  std::string out;
  HeadWriter writer(out);
  dropHopByHop(head.fields);
  writer.requestLine(head.method, head.target);
  writer.fields(head.fields);
  writer.framing(head.body);
  writer.end();
  return out;
}

std::string rewrite(ResponseHead &head) {
  std::string out;
  HeadWriter writer(out);
  dropHopByHop(head.fields);
  writer.statusLine(head.status);
  writer.fields(head.fields);
  writer.framing(head.body);
  writer.end();
  return out;
}

/// The payload of a chunked body, read `step` bytes at a time; false when it was refused or is incomplete.
bool decode(std::string_view input, std::size_t step, std::string &payload, std::size_t &used) {
  ChunkedDecoder decoder;
  used = 0;
  while (used < input.size() && !decoder.done() && !decoder.failed()) {
    std::string piece(input.substr(used, step));
    const auto [consumed, produced] = decoder.decode(piece.data(), piece.size());
    require(consumed <= piece.size() && produced <= consumed, "a decoder that makes bytes");
    require(decoder.done() || decoder.failed() || consumed == piece.size(), "a decoder that stops early");
    payload.append(piece, 0, produced);
    used += consumed;
  }
  requireClean(decoder.trailers());
  return decoder.done();
}

} // namespace

void checkRequest(std::string_view input) {
  RequestParser whole;
  RequestHead head;
  const HeadLimits limits;
  const ParseResult result = whole.parse(input, limits, head);

  // The same bytes in two reads mean the same, unless the first half was already refused.
  RequestParser split;
  RequestHead other;
  const ParseResult first = split.parse(input.substr(0, input.size() / 2), limits, other);
  if (first == ParseResult::NeedMore)
    require(split.parse(input, limits, other) == result, "a split changes the result");
  if (first == ParseResult::Failed) require(result == ParseResult::Failed, "a split changes the result");
  if (result != ParseResult::Complete) return;

  require(whole.size() <= input.size(), "a head longer than its input");
  requireClean(head.fields);
  require(head.fields.count(Name::Host) == 1, "not exactly one Host");
  const std::string again = rewrite(head);
  RequestParser second;
  RequestHead copy;
  require(second.parse(again, HeadLimits{}, copy) == ParseResult::Complete, "our own request is refused");
  require(second.size() == again.size(), "our own request ends early");
  require(copy.method == head.method && copy.target == head.target && copy.host == head.host, "a changed request");
  require(copy.body.kind == head.body.kind && copy.body.length == head.body.length, "a changed framing");
  require(!copy.upgradeWebSocket, "an upgrade that nobody wrote");
}

void checkResponse(std::string_view input) {
  // The first byte chooses the request it answers.
  const bool toHead = !input.empty() && (input.front() & 1) != 0;
  if (!input.empty()) input.remove_prefix(1);
  ResponseParser parser;
  ResponseHead head;
  if (parser.parse(input, HeadLimits{}, toHead, head) != ParseResult::Complete) return;
  require(parser.size() <= input.size(), "a head longer than its input");
  requireClean(head.fields);
  require(!toHead || head.body.kind == BodyKind::None, "a body in an answer to HEAD");
  const std::string again = rewrite(head);
  ResponseParser second;
  ResponseHead copy;
  require(second.parse(again, HeadLimits{}, toHead, copy) == ParseResult::Complete, "our own answer is refused");
  require(copy.status == head.status && copy.body.kind == head.body.kind, "a changed answer");
}

void checkChunked(std::string_view input) {
  std::string atOnce;
  std::size_t usedAtOnce = 0;
  const bool done = decode(input, input.size() + 1, atOnce, usedAtOnce);
  for (const std::size_t step : {std::size_t{1}, std::size_t{2}, std::size_t{7}}) {
    std::string payload;
    std::size_t used = 0;
    require(decode(input, step, payload, used) == done, "a split changes the result");
    require(payload == atOnce && used == usedAtOnce, "a split changes the payload");
  }
}

void checkFrames(std::string_view input) {
  FrameCounter whole;
  const std::uint64_t count = whole.feed(input);
  FrameCounter bytes;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < input.size(); ++i)
    sum += bytes.feed(input.substr(i, 1));
  require(sum == count && bytes.lost() == whole.lost(), "a split changes the count");
  require(count <= input.size() / 2, "more frames than headers fit");
}

void checkPreface(std::string_view input) {
  ProxyHeader whole;
  const ParseResult result = ProxyHeader::parse(input, whole);
  if (result == ParseResult::Complete) {
    require(whole.size <= input.size() && whole.size <= ProxyHeader::kMost,
            "a header that is longer than what there is");
    require(!whole.client || !whole.client->ip().empty(), "a client without an address");
  }
  // A verdict may come later with fewer bytes, and is never another one.
  for (std::size_t size = 0; size < input.size(); ++size) {
    ProxyHeader part;
    const ParseResult early = ProxyHeader::parse(input.substr(0, size), part);
    if (early == ParseResult::NeedMore) continue;
    require(early == result && part.size == whole.size, "a split changes the verdict");
    break;
  }
}

} // namespace matrixos::http::fuzz
