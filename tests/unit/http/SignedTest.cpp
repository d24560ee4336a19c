// Requests for which a signature over their body vouches: who asks is asked again once the body is there.
#include "HttpTestSupport.h"

#include <doctest/doctest.h>

#include <atomic>
#include <optional>
#include <thread>

using namespace httptest;
using namespace matrixos;
using api::Limit;
using auth::Identity;

namespace {

/// The field X-Seal has to be the body.
class Seals final : public auth::Identities {
public:
  ~Seals() override {
    for (std::thread &thread : threads_)
      thread.join();
  }

  std::optional<Identity> identify(const auth::IdentityQuestion &question,
                                   const std::function<Then()> &later) override {
    std::string seal;
    for (const mos_pair &field : question.fields)
      if (fromAbi(field.key) == "X-Seal") seal = fromAbi(field.value);
    if (!question.body) {
      ++asked;
      CHECK(question.signedBy.empty());
      return who(seal.empty() ? Identity::Kind::Unknown : Identity::Kind::Signed, "sealer");
    }
    ++askedAgain;
    CHECK(question.signedBy == "sealer");
    CHECK(question.path == "/sealed");
    if (seal == "again") return who(Identity::Kind::Signed, "another");
    if (seal == "stranger") return Identity{};
    if (seal == "never") {
      later();
      return {};
    }
    if (seal != *question.body) {
      Identity refused = who(Identity::Kind::Refused, "");
      refused.status = seal == "gone" ? 409 : 401;
      refused.reason = "BROKEN_SEAL";
      return refused;
    }
    const Identity known = who(Identity::Kind::Operator, "sealed");
    if (seal.substr(0, 5) != "later") return known;
    threads_.emplace_back([then = later(), known] { then(known); });
    return {};
  }

  std::atomic<int> asked{0}, askedAgain{0};

private:
  static Identity who(Identity::Kind kind, const std::string &id) {
    Identity identity;
    identity.kind = kind;
    identity.id = id;
    identity.scopes = "*";
    return identity;
  }
  std::vector<std::thread> threads_;
};

struct Fixture {
  explicit Fixture(std::vector<std::pair<Limit, std::uint32_t>> limits = {})
      : http(
            [&](api::ApiServerOptions &options) {
              options.identities = seals;
              for (const auto &[limit, count] : limits)
                options.limits[static_cast<std::size_t>(limit)] = {count, 86'400'000};
            },
            false) {
    const auto echo = [this](const std::shared_ptr<api::ApiExchange> &exchange) {
      ++served;
      exchange->respond(200, "text/plain", {}, exchange->data().principal + " " + exchange->data().body);
    };
    http.server().addRoutes(7,
                            {route("POST", "/sealed", echo, 1000, "operator"),
                             route("GET", "/sealed", echo, 0, "operator"), route("GET", "/open", echo, 0, "public")});
    http.server().start();
  }
  static std::string post(const std::string &seal, const std::string &body, const std::string &fields = {}) {
    return "POST /sealed HTTP/1.1\r\nHost: api\r\n" + (seal.empty() ? "" : "X-Seal: " + seal + "\r\n") + fields +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  Answer ask(const std::string &request) const {
    RawClient client(http.apiPath());
    client.send(request);
    return client.next();
  }

  std::shared_ptr<Seals> seals = std::make_shared<Seals>();
  std::atomic<int> served{0};
  TestServer http;
};

} // namespace

TEST_CASE("a signature over the body lets in, at once or later, and no other one does") {
  Fixture test;
  CHECK(test.ask(Fixture::post("wax", "wax")).body == "sealed wax");
  CHECK(test.ask(Fixture::post("later wax", "later wax")).body == "sealed later wax");
  CHECK(test.ask(Fixture::post("", "wax")).status == 401);
  CHECK(test.seals->askedAgain == 2);
  const Answer bad = test.ask(Fixture::post("wax", "wex"));
  CHECK(bad.status == 401);
  CHECK(bad.body.find(R"("reason":"BROKEN_SEAL")") != std::string::npos);
  CHECK(bad.field("WWW-Authenticate") == "Bearer");
  CHECK(test.ask(Fixture::post("gone", "wax")).status == 409);
  CHECK(test.ask(Fixture::post("stranger", "wax")).status == 401);
  CHECK(test.ask(Fixture::post("again", "wax")).status == 401);
  CHECK(test.served == 2);
  // A request without a body is signed, too.
  CHECK(test.ask(get("/sealed", "X-Seal: wax\r\n")).status == 401);
  CHECK(test.ask(Fixture::post("wax", "")).status == 401);
  CHECK(test.seals->askedAgain == 8);
}

TEST_CASE("a signed body is bounded, whole and read once, however it comes") {
  Fixture test;
  CHECK(test.ask(Fixture::post("wax", std::string(1001, 'x'))).status == 413);
  CHECK(test.seals->askedAgain == 0);
  const std::string chunked = "POST /sealed HTTP/1.1\r\nHost: api\r\nX-Seal: wax\r\nTransfer-Encoding: chunked\r\n\r\n";
  CHECK(test.ask(chunked + "1\r\nw\r\n2\r\nax\r\n0\r\n\r\n").body == "sealed wax");
  CHECK(test.ask(chunked + "401\r\n" + std::string(1025, 'x') + "\r\n0\r\n\r\n").status == 413);
  CHECK(test.ask(chunked + "zz\r\n").status == 400);
  CHECK(test.seals->askedAgain == 1);
  // A client that waits to be told to go on.
  RawClient waiting(test.http.apiPath());
  waiting.send(
      "POST /sealed HTTP/1.1\r\nHost: api\r\nX-Seal: wax\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  CHECK(waiting.next().status == 100);
  waiting.send("wax");
  CHECK(waiting.next().body == "sealed wax");
  // Who has no signature is told no without his body.
  RawClient stranger(test.http.apiPath());
  stranger.send("POST /sealed HTTP/1.1\r\nHost: api\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  CHECK(stranger.next().status == 401);
  CHECK(test.served == 2);
}

TEST_CASE("what comes behind a signed request is a request of its own") {
  Fixture test;
  RawClient client(test.http.apiPath());
  for (const char *seal : {"wax", "later wax", "wrong"}) {
    // The seal of one does not count for the next.
    client.send(Fixture::post(seal, seal == std::string("wrong") ? "wax" : seal) + Fixture::post("", "wax") +
                get("/open"));
    CHECK(client.next().status == (seal == std::string("wrong") ? 401 : 200));
    CHECK(client.next().status == 401);
    CHECK(client.next().status == 200);
  }
  // In the smallest pieces.
  for (const char c : Fixture::post("wax", "wax") + get("/open"))
    client.send(std::string(1, c));
  CHECK(client.next().body == "sealed wax");
  CHECK(client.next().status == 200);
}

TEST_CASE("one that leaves while it is found out who signed leaves nothing behind") {
  Fixture test;
  RawClient gone(test.http.apiPath());
  gone.send(Fixture::post("never", "wax"));
  CHECK(eventually([&] { return test.seals->askedAgain == 1; }));
  gone.close();
  RawClient half(test.http.apiPath());
  half.send("POST /sealed HTTP/1.1\r\nHost: api\r\nX-Seal: wax\r\nContent-Length: 3\r\n\r\nwa");
  CHECK(eventually([&] { return test.seals->asked == 2; }));
  half.close();
  CHECK(eventually([&] { return test.http.accesses().size() == 2; }));
  CHECK(test.http.server().openRequests() == 0);
  CHECK(test.served == 0);
  CHECK(test.ask(Fixture::post("wax", "wax")).status == 200);
}

TEST_CASE("limits count a signed request once, a bad signature as a guess") {
  Fixture address({{Limit::Address, 4}});
  CHECK(address.ask(Fixture::post("wax", "wax")).status == 200);
  CHECK(address.ask(Fixture::post("wax", "wex")).status == 401);
  CHECK(address.ask(Fixture::post("wax", "wax")).status == 200);
  CHECK(address.ask(Fixture::post("wax", "wax")).status == 429);
  CHECK(address.seals->askedAgain == 3);
  Fixture writes({{Limit::Writes, 2}});
  CHECK(writes.ask(Fixture::post("wax", "wax")).field("RateLimit").find(R"("writes";r=1;)") == 0);
  CHECK(writes.ask(Fixture::post("wax", "wax")).status == 200);
  CHECK(writes.ask(Fixture::post("wax", "wax")).status == 429);
  CHECK(writes.served == 2);
}
