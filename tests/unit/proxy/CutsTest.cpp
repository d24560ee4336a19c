// A client that is cut off at every byte of its request and of its answer, an instance that is cut off at every byte of
// what it sends, and the same messages in two pieces at every byte, and byte by byte.
#include "Stage.h"

#include <doctest/doctest.h>

using namespace kit;

namespace {

std::string head(const std::string &line, const std::string &fields = {}) {
  return line + " HTTP/1.1\r\nHost: alice.localhost\r\n" + fields + "\r\n";
}

const std::vector<Dialogue> &dialogues() {
  static const std::string kOk = "HTTP/1.1 200 OK\r\n";
  static const std::vector<Dialogue> all{
      {"a GET", {head("GET /0?000000")}, {kOk + "Content-Length: 11\r\n\r\nhello world"}},
      {"a POST with a length",
       {head("POST /0?000000", "Content-Length: 13\r\n") + "thirteenbytes"},
       {kOk + "Content-Length: 2\r\n\r\nok"},
       false},
      {"an upload in chunks with trailers",
       {head("PUT /0?000000", "Transfer-Encoding: chunked\r\n") +
        "5\r\nhello\r\nb;x=y\r\n, and again\r\n0\r\nX-Sum: 7\r\n\r\n"},
       {kOk + "Content-Length: 2\r\n\r\nok"},
       false},
      {"an answer in chunks",
       {head("GET /0?000000", "TE: trailers\r\n")},
       {kOk + "Transfer-Encoding: chunked\r\n\r\n6;a=b\r\nchunks\r\nB\r\n, and more.\r\n0\r\nX-Sum: 1\r\n\r\n"}},
      {"interim answers",
       {head("GET /0?000000")},
       {"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + kOk +
        "Content-Length: 5\r\n\r\nfinal"}},
      {"an answer until the end", {head("GET /0?000000")}, {kOk + "\r\nall there is"}, true, false, true},
      {"an answer until the end, to an old client",
       {"GET /0?000000 HTTP/1.0\r\nHost: alice.localhost\r\n\r\n"},
       {kOk + "\r\nall there is"},
       true,
       false,
       true,
       true},
      {"two requests in a row",
       {head("GET /0?000000"), head("GET /1?000000")},
       {kOk + "Content-Length: 5\r\n\r\nfirst", kOk + "Content-Length: 6\r\n\r\nsecond"}},
      {"a WebSocket",
       {head("GET /0?000000", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n") +
        std::string("\x81\x85mask\x05\x04\x1f\x07\x02\x89\x80mask", 17)},
       {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n" +
        std::string("\x81\x05hello\x82\x03\x00\xff\x00", 12)},
       true,
       true},
  };
  return all;
}

constexpr Cut kCuts[] = {Cut::Reset, Cut::Close, Cut::HalfClose};

void cutEverywhere(Stage &stage, const Dialogue &dialogue, Fault::Kind kind, std::size_t every = 1) {
  const std::size_t size = kind == Fault::Kind::Client ? dialogue.said().size() : dialogue.answered().size();
  for (const Cut cut : kCuts) {
    for (const bool patient : {false, true}) {
      for (std::size_t at = 0; at <= size; at += every)
        stage.play(dialogue, {kind, cut, at, SIZE_MAX, patient});
    }
  }
}

void splitEverywhere(Stage &stage, const Dialogue &dialogue) {
  for (const auto kind : {Fault::Kind::ClientPieces, Fault::Kind::UpstreamPieces}) {
    const std::size_t size = kind == Fault::Kind::ClientPieces ? dialogue.said().size() : dialogue.answered().size();
    for (std::size_t at = 1; at < size; ++at)
      stage.play(dialogue, {kind, Cut::Reset, at, SIZE_MAX, false});
    stage.play(dialogue, {kind, Cut::Reset, 1, 1, false}); // byte by byte
  }
}

/// Some of it first, for the pools to fill up; then nothing may grow.
void staysFlat(Fault::Kind kind) {
  Stage stage;
  stage.play(dialogues().back(), {});
  for (const Dialogue &dialogue : dialogues())
    cutEverywhere(stage, dialogue, kind, 7);
  stage.rest();
  const std::size_t descriptors = openDescriptors();
  const std::size_t bytes = bytesInUse();
  const std::size_t before = stage.plays();
  for (const Dialogue &dialogue : dialogues())
    cutEverywhere(stage, dialogue, kind);
  stage.rest();
  const std::size_t plays = stage.plays() - before;
  CHECK(stage.connections() == 0);
  CHECK(stage.inFlight() == 0);
  CHECK(eventually([&] { return openDescriptors() <= descriptors; }));
  const std::size_t now = bytesInUse();
  MESSAGE(plays << " cuts, " << (static_cast<double>(now) - static_cast<double>(bytes)) / static_cast<double>(plays)
                << " bytes each stay");
  CHECK(now < bytes + plays * 4);
}

} // namespace

TEST_CASE("every dialogue goes well when nobody is cut off") {
  Stage stage;
  for (const Dialogue &dialogue : dialogues()) {
    stage.play(dialogue, {});
    stage.play(dialogue, {});
  }
}

TEST_CASE("two pieces at every byte, and byte by byte") {
  Stage stage;
  for (const Dialogue &dialogue : dialogues())
    splitEverywhere(stage, dialogue);
  MESSAGE(stage.plays() << " dialogues");
}

TEST_CASE("a client that is cut off at any byte of its request leaves nothing behind") {
  staysFlat(Fault::Kind::Client);
}

TEST_CASE("an instance that is cut off at any byte of its answer: 502, or an answer that nobody takes for whole") {
  staysFlat(Fault::Kind::Upstream);
}

TEST_CASE("a client that leaves at any byte of its answer leaves nothing behind") {
  staysFlat(Fault::Kind::ClientLeaves);
}
