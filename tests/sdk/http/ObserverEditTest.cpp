/// What an observer sends in place of a piece is what the client gets, in good framing; and an answer ends where it
/// says.
#include "Lab.h"

#include <doctest/doctest.h>
#include <http/engine/UpstreamPool.h>

#include <cctype>

using namespace lab;
using namespace std::chrono_literals;
using matrixos::http::ServerOptions;

namespace {

const std::string kGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const std::string kOldGet = "GET / HTTP/1.0\r\nHost: x\r\n\r\n";
const std::string kChunked =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
const std::string kUntilClose = "HTTP/1.1 200 OK\r\n\r\nhello";
const std::string kLength = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

std::string bodyOf(const std::string &answer) {
  const std::size_t head = answer.find("\r\n\r\n");
  return head == std::string::npos ? "" : answer.substr(head + 4);
}

/// The answer in two parts, cut there, and what became of it at the client.
std::string through(Lab &lab, const std::string &request, const std::string &answer, std::size_t cut) {
  auto [client, upstream] = lab.exchange(request);
  upstream.send(answer.substr(0, cut));
  for (int i = 0; i < 3; ++i)
    lab.turn();
  upstream.send(answer.substr(cut));
  if (answer == kUntilClose) upstream.close();
  CHECK(lab.until([&, &c = client] { return c.closed() || lab.finished.size() == 1; }));
  if (request == kOldGet) CHECK(lab.until([&c = client] { return c.closed(); }));
  lab.until([&, &c = client] { return c.closed() || lab.told.ends() == 1; });
  return client.received();
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char &c : out)
    c = static_cast<char>(std::toupper(c));
  return out;
}

} // namespace

TEST_CASE("an answer without announced length is edited at will, wherever it is cut") {
  for (const std::string &answer : {kChunked, kUntilClose}) {
    for (const std::string &request : {kGet, kOldGet}) {
      for (std::size_t cut = 0; cut <= answer.size(); ++cut) {
        CAPTURE(answer);
        CAPTURE(request);
        CAPTURE(cut);
        Lab lab;
        std::string held;
        int lasts = 0;
        // The tail is held back until more comes, and something follows the end.
        lab.edit = [&](std::string_view piece, bool last) {
          CHECK(lasts == 0);
          lasts += last ? 1 : 0;
          std::string out = held + std::string(piece);
          held = last || out.empty() ? "" : out.substr(out.size() - 1);
          out.resize(out.size() - held.size());
          return upper(out) + (last ? "!" : "");
        };
        const std::string got = through(lab, request, answer, cut);
        CHECK((request == kGet ? unchunk(bodyOf(got)) : bodyOf(got)) == "HELLO!");
        CHECK(lasts == 1);
        CHECK(lab.told.payload == "hello");
        CHECK(lab.told.complete == 1);
        CHECK(lab.told.broken == 0);
        REQUIRE(lab.finished.size() == 1);
        CHECK(lab.finished[0].bytesOut == 6);
        CHECK(lab.asked == 0);
      }
    }
  }
}

TEST_CASE("an announced length holds, wherever the bytes come out of the observer") {
  for (std::size_t cut = 0; cut <= kLength.size(); ++cut) {
    CAPTURE(cut);
    Lab lab;
    std::string held;
    lab.edit = [&](std::string_view piece, bool last) {
      held += upper(piece);
      return last ? std::exchange(held, "") : "";
    };
    CHECK(bodyOf(through(lab, kGet, kLength, cut)) == "HELLO");
    CHECK(lab.told.complete == 1);
  }
}

TEST_CASE("an observer that changes an announced length breaks the answer off") {
  for (const bool longer : {true, false}) {
    for (std::size_t cut = 0; cut <= kLength.size(); ++cut) {
      CAPTURE(longer);
      CAPTURE(cut);
      Lab lab;
      lab.edit = [&](std::string_view piece, bool last) {
        if (longer) return std::string(piece) + (last ? "!" : "");
        return last ? "" : std::string(piece);
      };
      auto [client, upstream] = lab.exchange(kGet);
      upstream.send(kLength.substr(0, cut));
      lab.turn();
      upstream.send(kLength.substr(cut));
      CHECK(lab.until([&c = client] { return c.closed(); }));
      CHECK(bodyOf(client.received()).size() < 5);
      CHECK(lab.told.broken == 1);
      CHECK(lab.told.complete == 0);
      REQUIRE(lab.finished.size() == 1);
      CHECK(lab.finished[0].aborted);
      CHECK(lab.asked == 1);
    }
  }
}

TEST_CASE("trailers still follow what was edited, and nothing is asked of answers without a body") {
  Lab lab;
  lab.edit = [](std::string_view, bool last) { return last ? std::string("end") : std::string(); };
  const std::string got = through(lab, "GET / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: TE\r\n\r\n",
                                  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: v\r\n\r\n", 5);
  CHECK(bodyOf(got) == "3\r\nend\r\n0\r\nT: v\r\n\r\n");
  struct Row {
    const char *request;
    const char *answer;
  };
  for (const Row &row :
       {Row{"GET", "HTTP/1.1 204 No Content\r\n\r\n"}, Row{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
        Row{"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"},
        Row{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
        Row{"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"}}) {
    CAPTURE(row.request);
    CAPTURE(row.answer);
    Lab bodyless;
    bodyless.edit = [](std::string_view, bool) -> std::string { throw std::logic_error("asked"); };
    bodyless.ends = [] { return true; };
    CHECK(bodyOf(through(bodyless, row.request + kGet.substr(3), row.answer, 5)).empty());
    CHECK(bodyless.told.complete == 1);
    CHECK(bodyless.told.broken == 0);
  }
}

TEST_CASE("a client that reads slowly slows the upstream, however the pieces grow") {
  Lab lab;
  lab.edit = [](std::string_view piece, bool) { return std::string(piece) + std::string(piece); };
  auto [client, upstream] = lab.exchange(kGet);
  upstream.send("HTTP/1.1 200 OK\r\n\r\n");
  const std::string block(16'384, 'x');
  std::size_t sent = 0;
  // The client reads nothing: the upstream is stopped, after what the kernel's buffers take.
  int refused = 0;
  REQUIRE(lab.until([&, &u = upstream] {
    const std::size_t put = u.sendSome(block);
    sent += put;
    refused = put == 0 ? refused + 1 : 0;
    return refused == 50;
  }));
  CHECK(lab.told.payload.size() < sent);
  upstream.close();
  CHECK(lab.until([&, &c = client] {
    c.received();
    return lab.finished.size() == 1;
  }));
  const std::string end = "\r\n0\r\n\r\n";
  REQUIRE(lab.until([&c = client, &end] {
    const std::string &got = c.received();
    return got.size() > end.size() && got.compare(got.size() - end.size(), end.size(), end) == 0;
  }));
  CHECK(unchunk(bodyOf(client.received())).value_or("").size() == 2 * sent);
}

TEST_CASE("what came last of a burst is shown at once, however much of it the observer holds back") {
  ServerOptions options;
  options.bufferSize = 1024;
  for (std::size_t blocks = 1; blocks < 40; ++blocks) {
    CAPTURE(blocks);
    Lab lab(options);
    lab.edit = [](std::string_view, bool) { return std::string(); };
    auto [client, upstream] = lab.exchange(kGet);
    upstream.send("HTTP/1.1 200 OK\r\n\r\n");
    REQUIRE(lab.until([&] { return lab.told.heads == 1; }));
    const std::size_t size = blocks * options.bufferSize - 1; // the last block comes short: nothing is left to be read
    upstream.send(std::string(size, 'x'));
    CHECK(lab.until([&] { return lab.told.payload.size() == size; }));
  }
}

TEST_CASE("an answer ends behind the piece where its observer says so, and the upstream is let go of") {
  for (const std::string &request : {kGet, kOldGet}) {
    CAPTURE(request);
    Lab lab;
    lab.edit = [&](std::string_view piece, bool last) {
      CHECK(!last);
      return std::string(piece) + (lab.told.payload.size() >= 6 ? "[cut]" : "");
    };
    lab.ends = [&] { return lab.told.payload.size() >= 6; };
    lab.readRests();
    auto [client, upstream] = lab.exchange(request);
    upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    CHECK(lab.until([&] { return lab.told.payload == "one"; }));
    upstream.send("3\r\ntwo\r\n");
    CHECK(lab.until([&u = upstream] { return u.closed(); }));
    CHECK(lab.until([&] { return lab.finished.size() == 1; }));
    if (request == kOldGet) CHECK(lab.until([&c = client] { return c.closed(); }));
    lab.until([&c = client] { return c.received().find("[cut]") != std::string::npos; });
    CHECK((request == kGet ? unchunk(bodyOf(client.received())) : bodyOf(client.received())) == "onetwo[cut]");
    CHECK(lab.told.broken == 1);
    CHECK(lab.told.complete == 0);
    CHECK(!lab.finished[0].aborted);
    CHECK(lab.asked == 0);
    if (request == kOldGet) continue;
    // The client's connection goes on.
    lab.edit = nullptr;
    lab.ends = nullptr;
    client.send(kGet);
    End second = lab.upstream();
    second.send(kLength);
    CHECK(lab.until([&] { return lab.finished.size() == 2; }));
    CHECK(lab.told.complete == 1);
  }
}

TEST_CASE("a cut answer whose client leaves or sleeps has no rest") {
  Lab lab;
  lab.ends = [] { return true; };
  lab.edit = [](std::string_view, bool) { return std::string(1'000'000, 'x'); }; // more than goes out at once
  lab.readRests();
  auto [client, upstream] = lab.exchange(kGet);
  upstream.send("HTTP/1.1 200 OK\r\n\r\nhello");
  CHECK(lab.until([&u = upstream] { return u.closed(); }));
  CHECK(lab.finished.empty());
  client.reset();
  CHECK(lab.until([&] { return lab.finished.size() == 1; }));
  CHECK(lab.told.broken == 1);
  CHECK(lab.asked == 0);
}

TEST_CASE("an announced answer that its observer ends is broken off") {
  Lab lab;
  lab.ends = [] { return true; };
  lab.readRests();
  auto [client, upstream] = lab.exchange(kGet);
  upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello");
  CHECK(lab.until([&c = client] { return c.closed(); }));
  CHECK(lab.until([&u = upstream] { return u.closed(); }));
  CHECK(bodyOf(client.received()).empty());
  CHECK(lab.told.broken == 1);
  CHECK(lab.asked == 0);
  CHECK(lab.finished[0].aborted);
}

TEST_CASE("an observer that throws in the midst of it ends its connection, and is not asked for the rest") {
  Lab lab;
  lab.readRests();
  lab.edit = [](std::string_view, bool) -> std::string { throw std::runtime_error("an observer that fails"); };
  auto [client, upstream] = lab.exchange(kGet);
  upstream.send(kChunked);
  CHECK(lab.until([&c = client] { return c.closed(); }));
  CHECK(lab.until([&u = upstream] { return u.closed(); }));
  CHECK(lab.told.broken == 1);
  CHECK(lab.asked == 0);
  REQUIRE(lab.finished.size() == 1);
  CHECK(lab.finished[0].reason == std::string("internal failure"));
}
