// What an event may say, and which of them are kept.
#include "audit/Record.h"

#include "audit/HeadFile.h"
#include "audit/Thinning.h"
#include "support/TempDir.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace matrixos;
using namespace matrixos::audit;
using namespace std::chrono_literals;

namespace {

std::string problemOf(const std::string &event) {
  try {
    readEvent(event, 0);
    return {};
  } catch (const Error &e) {
    return e.what();
  }
}

} // namespace

TEST_CASE("an event's members become columns and the rest, in an order of their own") {
  const Record record = readEvent(R"({"status": 200, "action": "sign-in", "principal": "user:2abc", "handle": "alice",
                                      "given": {"role": "use"}, "address": "203.0.113.7"})",
                                  1'000);
  CHECK(record.at == "1970-01-01T00:00:01.000Z");
  CHECK(record.action == "sign-in");
  CHECK(record.principal == "user:2abc");
  CHECK(record.handle == "alice");
  CHECK(record.event == R"({"address":"203.0.113.7","given":{"role":"use"},"status":200})");
  const Row row = chain(Link{}, 1, record);
  CHECK(shownJson(row) == R"({"seq":1,"time":"1970-01-01T00:00:01.000Z","action":"sign-in","principal":"user:2abc",)"
                          R"("handle":"alice","hash":")" +
                              row.link.hash + R"(","address":"203.0.113.7","given":{"role":"use"},"status":200})");
}

TEST_CASE("what is no event is refused") {
  for (const char *event :
       {"", "[]", "{}", R"({"action": ""})", R"({"action": 5})", R"({"action": "a", "secret": "x"})",
        R"({"action": "a\nb"})", R"({"action": "a", "principal": "x\u0000"})", R"({"action": "a", "handle": "../etc"})",
        R"({"action": "a", "status": "200"})", R"({"action": "a", "given": "x"})",
        R"({"action": "a", "given": {"x": 1}})", R"({"action": "a", "target": [1]})",
        R"({"action": "a", "kind": {}})"}) {
    CAPTURE(event);
    CHECK(problemOf(event) != "");
  }
  CHECK(problemOf(R"({"action": ")" + std::string(513, 'x') + "\"}") != "");
  CHECK(problemOf(R"({"action": ")" + std::string(512, 'x') + "\"}") == "");
  CHECK(problemOf(R"({"action": "a", "reason": ")" + std::string(20000, 'x') + "\"}") != "");
}

TEST_CASE("every text, the number and what stands before count for the hash") {
  const Record record{"2026", "p", "h", "a", "{}"};
  const std::string hash = chainHash(std::string(64, '0'), 1, record);
  CHECK(hash.size() == 64);
  CHECK(chainHash(std::string(64, '1'), 1, record) != hash);
  CHECK(chainHash(std::string(64, '0'), 2, record) != hash);
  for (std::string Record::*text :
       {&Record::at, &Record::principal, &Record::handle, &Record::action, &Record::event}) {
    Record other = record;
    other.*text += " ";
    CHECK(chainHash(std::string(64, '0'), 1, other) != hash);
  }
  // Nothing moves from one text to the next.
  CHECK(chainHash(std::string(64, '0'), 1, {"2026", "ph", "", "a", "{}"}) != hash);
}

TEST_CASE("of strangers so many a minute are kept, the others are counted") {
  Thinning thinning;
  thinning.configure({3, 60s});
  const auto start = std::chrono::steady_clock::now();
  Record stranger{"", "", "", "POST /login", "{}"};
  int kept = 0;
  for (int i = 0; i < 10; ++i)
    kept += thinning.isKept(stranger, start + std::chrono::seconds(i)) ? 1 : 0;
  CHECK(kept == 3);
  CHECK(thinning.takeLeftOut(start + 30s) == 0);
  CHECK(thinning.takeLeftOut(start + 70s) == 7);
  CHECK(thinning.takeLeftOut(start + 140s) == 0);
  CHECK(thinning.isKept(stranger, start + 61s));
  const Record known{"", "uid:0", "", "POST /reload", "{}"};
  for (int i = 0; i < 100; ++i)
    CHECK(thinning.isKept(known, start));
}

TEST_CASE("the same read by the same operator is kept once in a while") {
  Thinning thinning;
  thinning.configure({3, 60s});
  const auto start = std::chrono::steady_clock::now();
  const Record read{"", "uid:0", "alice", "GET /containers/:handle", "{}"};
  CHECK(thinning.isKept(read, start));
  CHECK(!thinning.isKept(read, start + 59s));
  CHECK(thinning.isKept(read, start + 60s));
  CHECK(thinning.isKept({"", "uid:0", "bob", "GET /containers/:handle", "{}"}, start));
  CHECK(thinning.isKept({"", "admin", "alice", "GET /containers/:handle", "{}"}, start));
}

TEST_CASE("the file gives back what was written, and says when it cannot") {
  const test::TempDir dir;
  const HeadFile file(dir / "audit.head");
  CHECK(!file.read());
  const Link one{1, std::string(64, 'a')}, two{2, std::string(64, 'b')};
  file.write({one, two});
  CHECK(file.read()->last == one);
  CHECK(file.read()->next == two);
  file.write({two, std::nullopt});
  CHECK(file.read()->last == two);
  CHECK(!file.read()->next);
  for (const char *text : {"", "{", "{}", R"({"seq":1,"hash":"short"})", R"({"seq":-1,"hash":""})"}) {
    test::writeFile(dir / "audit.head", text);
    CHECK_THROWS_AS(file.read(), Error);
  }
  CHECK_THROWS_AS(HeadFile(dir / "nowhere/audit.head").write({one, two}), Error);
}
