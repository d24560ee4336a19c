/// The tables of malformed messages against the whole listener: nothing is accepted wrongly, nothing hidden is
/// executed, and there are as many answers as requests were served.
#include "MalformedKit.h"

#include <doctest/doctest.h>

using namespace kit;
using edgetest::kHost;

namespace {

std::string chunkedPost(const std::string &body) {
  return "POST / HTTP/1.1\r\nHost: " + std::string(kHost) + "\r\nTransfer-Encoding: chunked\r\n\r\n" + body +
         "0\r\n\r\n";
}

} // namespace

TEST_CASE("malformed requests are refused, the connection ends, and nothing behind them is executed") {
  Recorder recorder;
  ProxyFixture f;
  f.instance("alice", "running", recorder.port());
  const auto rows = edgetest::malformedRequests();
  for (const auto &row : rows) {
    CAPTURE(row.what);
    CAPTURE(row.text);
    Conn conn = f.connect();
    conn.send(row.text + hiddenRequest());
    const auto answer = conn.readResponse();
    CHECK(answer.status == row.status);
    CHECK(answer.field("Connection") == "close");
    CHECK(conn.readAll().empty());
  }
  CHECK(recorder.take().empty());
  CHECK(rows.size() >= 300);
  MESSAGE(rows.size() << " malformed requests, 0 accepted");
}

TEST_CASE("malformed chunked bodies are refused, and nothing behind them is executed") {
  Recorder recorder;
  ProxyFixture f;
  f.instance("alice", "running", recorder.port());
  const auto rows = edgetest::malformedChunks();
  for (const std::string &body : rows) {
    CAPTURE(body);
    Conn conn = f.connect();
    conn.send(chunkedPost(body) + hiddenRequest());
    CHECK(conn.readResponse().status == 400);
    CHECK(conn.readAll().empty());
  }
  CHECK(recorder.take().empty());
  MESSAGE(rows.size() << " malformed chunked bodies, 0 accepted");
}

TEST_CASE("malformed responses become 502, and nothing behind them answers another request") {
  const auto rows = edgetest::malformedResponses();
  const Liar liar(rows);
  ProxyFixture f;
  f.instance("alice", "running", liar.port());
  const auto wrong = forEachAtOnce(rows.size(), [&](std::size_t i) -> std::string {
    std::string first;
    const std::string problem = askAround(f.port, "GET", "/" + std::to_string(i), &first);
    if (!problem.empty()) return rows[i] + problem;
    return first.substr(0, 12) == "HTTP/1.1 502" ? std::string() : rows[i] + "was answered " + first;
  });
  CHECK(wrong == std::vector<std::string>{});
  MESSAGE(rows.size() << " malformed responses, 0 accepted");
}

TEST_CASE("malformed chunks of an answer break it off, and nothing behind them answers another request") {
  auto rows = edgetest::malformedChunks();
  for (std::string &row : rows)
    row = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + row + "0\r\n\r\n";
  const Liar liar(rows);
  ProxyFixture f;
  f.instance("alice", "running", liar.port());
  const auto wrong = forEachAtOnce(rows.size(), [&](std::size_t i) -> std::string {
    const std::string path = "/" + std::to_string(i);
    Conn conn = f.connect();
    conn.send(getRequest(path));
    const std::string all = conn.readAll();
    if (all.find("hidden") != std::string::npos) return rows[i] + "brought more than itself: " + all;
    if (all.find("\r\n0\r\n\r\n") != std::string::npos) return rows[i] + "looks whole: " + all;
    std::string first;
    return askAround(f.port, "GET", path, &first);
  });
  CHECK(wrong == std::vector<std::string>{});
}

TEST_CASE("what stands behind an answer is nobody's") {
  const auto table = edgetest::answersWithMore();
  std::vector<std::string> rows;
  for (const auto &row : table)
    rows.push_back(row.text);
  const Liar liar(rows);
  ProxyFixture f;
  f.instance("alice", "running", liar.port());
  const auto wrong = forEachAtOnce(rows.size(), [&](std::size_t i) -> std::string {
    std::string first;
    const std::string problem = askAround(f.port, table[i].method, "/" + std::to_string(i), &first);
    if (!problem.empty()) return table[i].what + (" " + problem);
    const bool right = first.find("HTTP/1.1 " + std::to_string(table[i].status)) != std::string::npos;
    return right ? std::string() : table[i].what + (" was answered " + first);
  });
  CHECK(wrong == std::vector<std::string>{});
}
