/// The tables of malformed messages with Debian's nginx and HAProxy in front of the proxy and behind it: whatever they
/// make of a message, there are as many answers as requests, each request has its own, and nobody has another's.
#include "MalformedKit.h"

#include <doctest/doctest.h>

using namespace kit;
using edgetest::kHost;

namespace {

struct Unusual {
  std::size_t served; ///< with the two requests behind it
  std::string text;
};

/// Unusual, and right.
std::vector<Unusual> unusualRequests() {
  const std::string host = "Host: " + std::string(kHost) + "\r\n";
  const std::string post = "POST /post HTTP/1.1\r\n" + host;
  const std::string chunked = post + "Transfer-Encoding: chunked\r\n";
  const std::string old = "GET /old HTTP/1.0\r\n" + host;
  const std::string hidden = hiddenRequest();
  const std::string ofHidden = "Content-Length: " + std::to_string(hidden.size()) + "\r\n";
  return {
      {3, "\r\n" + getRequest("/after-empty-line")},
      {3, getRequest("/", "x-empty:\r\nX-Blank: \t v \t\r\nX-Colon: a:b:c\r\n")},
      {3, getRequest("//a//../b?c=d&e=%00")},
      {3, getRequest("/a%0d%0aX:%20y/..;/\\b%2f%c0%af")},
      {3, getRequest("/", "Connection: x-a, keep-alive\r\nX-A: 1\r\n")},
      {3, getRequest("/", "Connection: Host, Content-Length, Transfer-Encoding, X-Forwarded-For\r\n")},
      {1, getRequest("/", "Connection: close, Host\r\n")},
      {3, getRequest("/", "Content-Length: 0\r\n")},
      {3, getRequest("/", "TE: trailers, deflate;q=0.5\r\n")},
      {3, getRequest("/",
                     "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAI\r\n")},
      {3, getRequest("/", "Upgrade: websocket\r\n")},
      {3, getRequest("/", "Trailer: Content-Length, Transfer-Encoding\r\n")},
      // A dash and an underscore are not the same.
      {3, getRequest("/", "Content_Length: 5\r\nTransfer_Encoding: chunked\r\n")},
      {3, post + "Content-Length: 0\r\nTransfer_Encoding: chunked\r\n\r\n"},
      {3, "OPTIONS * HTTP/1.1\r\n" + host + "\r\n"},
      {3, "GET http://" + std::string(kHost) + "/absolute HTTP/1.1\r\n" + host + "\r\n"},
      {3, post + "Content-Length: 0005\r\n\r\nhello"},
      {3, post + "Content-Length: 00\r\n\r\n"},
      {3, post + "Content-Length: \t5 \r\n\r\nhello"},
      // Requests in bodies, of methods that have none most of the time
      {3, post + ofHidden + "\r\n" + hidden},
      {3, getRequest("/body", ofHidden) + hidden},
      {3, "HEAD /head HTTP/1.1\r\n" + host + ofHidden + "\r\n" + hidden},
      {3, "OPTIONS /options HTTP/1.1\r\n" + host + ofHidden + "\r\n" + hidden},
      {3, "DELETE /delete HTTP/1.1\r\n" + host + ofHidden + "\r\n" + hidden},
      // The body does not wait for its 100.
      {3, post + "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello"},
      {3, post + ofHidden + "Expect: 100-Continue\r\n\r\n" + hidden},
      {3, getRequest("/expect", ofHidden + "Expect: 100-continue\r\n") + hidden},
      {3, chunked + "Expect: 100-continue\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
      {3, chunked + "\r\n0\r\n\r\n"},
      {3, chunked + "\r\n5\r\nhello\r\n0\r\n\r\n"},
      {3, chunked + "\r\n00000005\r\nhello\r\nA\r\n0123456789\r\na\r\n0123456789\r\n000\r\n\r\n"},
      {3, chunked + "\r\n5;name=value\r\nhello\r\n00;x=\"y\"\r\n\r\n"},
      {3, chunked + "\r\n5;a;b=c;d=\"e;\\\"f\\\\\"\r\nhello\r\n0\r\n\r\n"},
      {3, chunked + "Trailer: X-T\r\n\r\n0005\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"},
      {3, chunked + "\r\n5\r\nhello\r\n0\r\nContent-Length: 100\r\nHost: b\r\nAuthorization: c\r\n\r\n"},
      {3, "POST /post HTTP/1.1\r\n" + host + "transfer-ENCODING:Chunked\r\n\r\n1\r\n\r\r\n0\r\n\r\n"},
      {1, old + "\r\n"},
      {1, old + "Connection: keep-alive\r\n\r\n"},
      {1, "POST /old HTTP/1.0\r\n" + host + "Content-Length: 5\r\n\r\nhello"},
  };
}

std::string chunkedPost(const std::string &body) {
  return "POST / HTTP/1.1\r\nHost: " + std::string(kHost) + "\r\nTransfer-Encoding: chunked\r\n\r\n" + body +
         "0\r\n\r\n";
}

/// A Liar, the proxy and a neighbour in a row, which each test puts in its own order.
template <typename Test>
void withEachNeighbour(Test &&test) {
  for (const auto &[kind, program] : Neighbour::kAll) {
    if (Neighbour::installed(program)) test(kind, std::string(program));
  }
}

/// What every answer may be asked to hold; empty when all is well.
using Judge = std::function<std::string(std::size_t row, const std::string &first)>;

void askForAll(const std::vector<std::string> &rows, const Judge &judge, bool behind) {
  withEachNeighbour([&](Neighbour::Kind kind, const std::string &program) {
    const Liar liar(rows);
    // Nobody to wake: a neighbour that hangs up would be waited for.
    ProxyFixture f({}, false);
    std::optional<Neighbour> neighbour;
    if (behind) neighbour.emplace(kind, liar.port());
    f.instance("alice", "running", behind ? neighbour->port() : liar.port());
    if (!behind) neighbour.emplace(kind, f.port);
    const std::uint16_t port = behind ? f.port : neighbour->port();
    const auto wrong = forEachAtOnce(rows.size(), [&](std::size_t i) {
      std::string first;
      std::string problem = askAround(port, "GET", "/" + std::to_string(i), &first);
      if (problem.empty() && judge) problem = judge(i, first);
      return problem.empty() ? problem : rows[i] + problem;
    });
    CHECK(wrong == std::vector<std::string>{});
    MESSAGE(program << ": " << rows.size() << " answers, and " << rows.size() << " behind them");
  });
}

std::vector<std::string> badlyChunked() {
  auto rows = edgetest::malformedChunks();
  for (std::string &row : rows)
    row = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + row + "0\r\n\r\n";
  return rows;
}

} // namespace

TEST_CASE("unusual requests are answered one by one") {
  Recorder recorder;
  ProxyFixture f;
  f.instance("alice", "running", recorder.port());
  for (const auto &[served, text] : unusualRequests()) {
    CAPTURE(text);
    CHECK(replay(f.port, text, recorder) == served);
  }
}

TEST_CASE("with a lenient proxy in front, answers and requests stay in step") {
  withEachNeighbour([](Neighbour::Kind kind, const std::string &program) {
    Recorder recorder;
    ProxyFixture f;
    f.instance("alice", "running", recorder.port());
    const Neighbour front(kind, f.port);
    std::size_t served = 0;
    for (const auto &row : edgetest::malformedRequests())
      served += replay(front.port(), row.text, recorder);
    for (const std::string &body : edgetest::malformedChunks())
      served += replay(front.port(), chunkedPost(body), recorder);
    for (const auto &[expected, text] : unusualRequests())
      served += replay(front.port(), text, recorder);
    CHECK(served > 80); // much of it did come through
    MESSAGE(program << ": " << served << " requests served and answered");
  });
}

TEST_CASE("with a proxy behind, it sees nothing malformed, and answers and requests stay in step") {
  withEachNeighbour([](Neighbour::Kind kind, const std::string &program) {
    Recorder recorder;
    const Neighbour behind(kind, recorder.port());
    ProxyFixture f;
    f.instance("alice", "running", behind.port());
    std::size_t served = 0;
    for (const auto &row : edgetest::malformedRequests())
      CHECK(replay(f.port, row.text, recorder) == 0);
    for (const std::string &body : edgetest::malformedChunks())
      CHECK(replay(f.port, chunkedPost(body), recorder) == 0);
    for (const auto &[expected, text] : unusualRequests())
      served += replay(f.port, text, recorder);
    CHECK(served > 80);
    MESSAGE(program << ": " << served << " requests served and answered");
  });
}

TEST_CASE("malformed responses through a lenient proxy behind answer nobody else") {
  askForAll(edgetest::malformedResponses(), {}, true);
}

TEST_CASE("malformed responses are 502 for a proxy in front too") {
  askForAll(
      edgetest::malformedResponses(),
      [](std::size_t, const std::string &first) {
        return first.substr(0, 12) == "HTTP/1.1 502" ? std::string() : "was answered " + first;
      },
      false);
}

TEST_CASE("badly chunked answers through a lenient proxy behind answer nobody else") {
  askForAll(badlyChunked(), {}, true);
}

TEST_CASE("badly chunked answers bring a proxy in front nothing more than themselves") {
  askForAll(
      badlyChunked(),
      [](std::size_t, const std::string &first) {
        return first.find("hidden") == std::string::npos ? std::string() : "brought more than itself: " + first;
      },
      false);
}

TEST_CASE("what stands behind an answer is nobody's, with a proxy behind or in front") {
  std::vector<std::string> rows;
  for (const auto &row : edgetest::answersWithMore()) {
    if (std::string(row.method) == "GET") rows.push_back(row.text);
  }
  askForAll(rows, {}, true);
  askForAll(rows, {}, false);
}
