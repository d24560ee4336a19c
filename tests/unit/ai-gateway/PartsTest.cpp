/// The parts of the gateway that need no network.
#include <ai-gateway/Credential.h>
#include <ai-gateway/ErrorAnswer.h>
#include <ai-gateway/HeaderRules.h>
#include <ai-gateway/Instances.h>
#include <ai-gateway/Owners.h>
#include <ai-gateway/RateLimits.h>
#include <ai-gateway/Router.h>
#include <ai-gateway/upstream/Endpoints.h>
#include <ai-gateway/upstream/KeyScrubber.h>
#include <doctest/doctest.h>
#include <http/codec/RequestParser.h>
#include <http/codec/ResponseParser.h>
#include <support/Errors.h>

#include <array>
#include <string>
#include <vector>

using namespace matrixos::gateway;
namespace http = matrixos::http;
using matrixos::Address;
using matrixos::InstanceRecord;

namespace {

std::shared_ptr<const KeyList> keys(std::string_view lines) {
  return std::make_shared<const KeyList>(lines);
}

http::RequestHead requestWith(const std::string &fields, std::string &buffer) {
  buffer = "POST /v1/messages HTTP/1.1\r\nHost: gateway\r\n" + fields + "\r\n";
  http::RequestParser parser;
  http::RequestHead head;
  REQUIRE(parser.parse({buffer.data(), buffer.size()}, http::HeadLimits{}, head) == http::ParseResult::Complete);
  return head;
}

Credential::Kind kindOf(const std::string &fields) {
  std::string buffer;
  return credentialOf(requestWith(fields, buffer).fields).kind;
}

std::string sentUp(const std::string &fields, std::string_view secret = "hush") {
  std::string buffer, out;
  const http::RequestHead head = requestWith(fields, buffer);
  http::HeadWriter writer(out);
  writeUpstreamFields(head, secret, writer);
  return out;
}

std::string sentDown(const std::string &fields, const KeyList &hidden) {
  std::string buffer = "HTTP/1.1 200 OK\r\n" + fields + "Content-Length: 0\r\n\r\n", out;
  http::ResponseParser parser;
  http::ResponseHead head;
  REQUIRE(parser.parse({buffer.data(), buffer.size()}, http::HeadLimits{}, false, head) == http::ParseResult::Complete);
  http::HeadWriter writer(out);
  writeDownstreamFields(head, &hidden, writer);
  return out;
}

class NoResolver final : public http::Resolver {
public:
  void resolve(const std::string &, Done done) override { done({{}, {}, "nobody knows", true}); }
};

struct Places {
  explicit Places(const std::vector<std::string> &urls = {"https://a.example", "https://b.example:8443/base"},
                  std::string_view lines = "k1\nk2")
      : endpoints(urls, keys(lines), *tls, std::make_shared<NoResolver>()) {}
  std::shared_ptr<http::TlsClientContext> tls = http::TlsClientContext::create({});
  Endpoints endpoints;

  std::string at(const Endpoints::Tour &tour) const {
    return endpoints.endpoint(*tour.at).authority + " " + std::string(endpoints.key(*tour.at));
  }
  std::string nextOf(Endpoints::Tour &tour, std::int64_t now = 0) {
    return endpoints.next(tour, now) ? at(tour) : "none";
  }
};

InstanceRecord record(const std::string &handle, const std::string &address, std::uint64_t rev,
                      matrixos::InstanceStatus status = matrixos::InstanceStatus::Running) {
  InstanceRecord out;
  out.id = "01" + handle;
  out.handle = handle;
  out.rev = rev;
  out.status = status;
  if (status == matrixos::InstanceStatus::Running)
    out.endpoints = {{"gateway", address, 4000, "bridge", "1"}, {"shell", address, 3000, "bridge", "1"}};
  return out;
}

} // namespace

TEST_CASE("a key is cut out wherever it stands and however it is split, and lengths stay") {
  const auto list = keys("sk-ant-secret-1\r\n\n  sk-ant-secret-22 \nplain");
  REQUIRE(list->size() == 3);
  const std::string said =
      R"({"a":"sk-ant-secret-1","b":"sk-ant-sk-ant-secret-22sk-ant-secret-1","c":"plainplai","d":"sk-ant-other"})";
  const std::string wanted =
      R"({"a":"xxxxxxxxxxxxxxx","b":"sk-ant-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx","c":"xxxxxplai","d":"sk-ant-other"})";
  for (std::size_t first = 0; first <= said.size(); ++first) {
    for (std::size_t second = first; second <= said.size(); ++second) {
      KeyScrubber scrubber(list);
      std::string out(scrubber.pass(std::string_view(said).substr(0, first), false));
      out += scrubber.pass(std::string_view(said).substr(first, second - first), false);
      out += scrubber.pass(std::string_view(said).substr(second), true);
      REQUIRE(out == wanted);
    }
  }
  KeyScrubber bytes(list);
  std::string out;
  for (const char c : said)
    out += bytes.pass(std::string_view(&c, 1), false);
  out += bytes.pass({}, true);
  CHECK(out == wanted);
}

TEST_CASE("an event that ends with its line break is never held back") {
  KeyScrubber scrubber(keys("sk-ant-secret"));
  const std::string_view event = "data: {\"text\":\"sk-ant-\"}\n\n";
  CHECK(scrubber.pass(event, false).data() == event.data()); // not even copied
  CHECK(scrubber.pass("data: sk-a", false) == "data: ");
  CHECK(scrubber.held() == "sk-a");
  CHECK(scrubber.pass("way\n\n", false) == "sk-away\n\n");
  CHECK(scrubber.pass("ends with sk-ant-", true) == "ends with sk-ant-");
  KeyScrubber none(keys(""));
  CHECK(none.pass("sk-ant-secret", false) == "sk-ant-secret");
}

TEST_CASE("places are tried in their order, the keys of a server in turn") {
  Places places;
  Endpoints::Tour first, second;
  CHECK(places.nextOf(first) == "a.example k1");
  CHECK(places.nextOf(second) == "a.example k2");
  CHECK(places.endpoints.hasNext(first, 0));
  CHECK(places.nextOf(first) == "a.example k2");
  CHECK(places.nextOf(first) == "b.example:8443 k1");
  CHECK(places.endpoints.endpoint(*first.at).prefix == "/base");
  CHECK(places.nextOf(first) == "b.example:8443 k2");
  CHECK_FALSE(places.endpoints.hasNext(first, 0));
  CHECK(places.nextOf(first) == "none");
  // A server that cannot be reached is left alone, whatever the key.
  places.endpoints.note(second, Verdict::Unreached, 0, 0);
  CHECK(places.nextOf(second) == "b.example:8443 k2");
  // The caller's own key: a server once.
  Endpoints::Tour own;
  own.ownKey = true;
  CHECK(places.endpoints.next(own, 0));
  CHECK(places.endpoints.next(own, 0));
  CHECK_FALSE(places.endpoints.next(own, 0));
  // Without a key of ours nothing can be called.
  Places keyless({"https://a.example"}, "");
  Endpoints::Tour none;
  CHECK_FALSE(keyless.endpoints.next(none, 0));
  CHECK(keyless.endpoints.next(own = {.ownKey = true}, 0));
}

TEST_CASE("five failures in a row open a server's breaker, and one call tries it again after half a minute") {
  Places places({"https://a.example", "https://b.example"}, "k");
  for (int i = 0; i < 5; ++i) {
    Endpoints::Tour tour;
    REQUIRE(places.nextOf(tour, i) == "a.example k");
    places.endpoints.note(tour, Verdict::Unreached, 0, i);
  }
  Endpoints::Tour during;
  CHECK(places.nextOf(during, 100) == "b.example k");
  CHECK(places.endpoints.states(100).front().open);
  Endpoints::Tour trial, other;
  CHECK(places.nextOf(trial, 30'004) == "a.example k");
  CHECK(places.nextOf(other, 30'005) == "b.example k");
  places.endpoints.note(trial, Verdict::Served, 0, 30'006);
  Endpoints::Tour after;
  CHECK(places.nextOf(after, 30'007) == "a.example k");
  CHECK_FALSE(places.endpoints.states(30'007).front().open);
}

TEST_CASE("what a caller can bring about counts against his model alone; a denied key against all") {
  Places places({"https://a.example"}, "k1\nk2");
  const auto spoil = [&](const std::string &model, Verdict verdict, int times, std::int64_t pause = 0) {
    for (int i = 0; i < times; ++i) {
      Endpoints::Tour tour{.model = model};
      while (places.endpoints.next(tour, 1'000))
        if (places.endpoints.key(*tour.at) == "k1") places.endpoints.note(tour, verdict, pause, 1'000);
    }
  };
  const auto tried = [&](const std::string &model, std::int64_t now) {
    Endpoints::Tour tour{.model = model};
    std::string all;
    while (places.endpoints.next(tour, now))
      all += places.endpoints.key(*tour.at);
    return all;
  };
  spoil("opus", Verdict::Refused, 5);
  CHECK(tried("opus", 1'001) == "k2");
  CHECK(tried("haiku", 1'001).size() == 4);
  CHECK(tried("opus", 31'001).size() == 4);
  // It says itself how long.
  spoil("haiku", Verdict::Refused, 1, 90'000);
  CHECK(tried("haiku", 60'000) == "k2");
  CHECK(tried("haiku", 91'001).size() == 4);
  spoil("any", Verdict::Denied, 5);
  CHECK(tried("haiku", 200'000).size() == 4); // long over by then
  CHECK(tried("other", 1'001) == "k2");
  // However many models are asked for, what is remembered has an end.
  for (int i = 0; i < 1000; ++i)
    spoil("m" + std::to_string(i), Verdict::Refused, 1, 1);
  CHECK(places.endpoints.states(1'000).front().pauses <= 130);
}

TEST_CASE("however many models fail, each is paused itself, and what is remembered has an end") {
  Places places({"https://a.example"}, "k");
  const auto fail = [&](const std::string &model, std::int64_t now) {
    Endpoints::Tour tour{.model = model};
    REQUIRE(places.endpoints.next(tour, now));
    places.endpoints.note(tour, Verdict::Refused, 60'000, now);
  };
  const auto isOut = [&](const std::string &model, std::int64_t now) {
    Endpoints::Tour tour{.model = model};
    return !places.endpoints.hasNext(tour, now);
  };
  for (int i = 0; i < 1000; ++i)
    fail("m" + std::to_string(i), 1'000 + i);
  CHECK(places.endpoints.states(2'000).front().pauses == 64);
  CHECK(isOut("m999", 2'000));
  CHECK(isOut("m936", 2'000));
  CHECK_FALSE(isOut("m0", 2'000));
  CHECK_FALSE(isOut("haiku", 2'000));
  CHECK_FALSE(isOut("", 2'000)); // a route without a model
  CHECK_FALSE(isOut("m999", 61'999));
}

TEST_CASE("one credential says who asks, and two that differ say nothing") {
  using Kind = Credential::Kind;
  CHECK(kindOf("") == Kind::None);
  CHECK(kindOf("x-api-key: mxi_abc\r\n") == Kind::Instance);
  CHECK(kindOf("Authorization: Bearer mxi_abc\r\n") == Kind::Instance);
  CHECK(kindOf("authorization: bearer  mxi_abc \r\nX-Api-Key: mxi_abc\r\n") == Kind::Instance);
  CHECK(kindOf("Authorization: Bearer mxi_abc\r\nx-api-key: \r\n") == Kind::Instance);
  CHECK(kindOf("x-api-key: sk-ant-api03-x\r\n") == Kind::OwnKey);
  CHECK(kindOf("x-api-key: hush\r\n") == Kind::Other);
  CHECK(kindOf("Authorization: Basic bXhpXw==\r\n") == Kind::Other);
  CHECK(kindOf("Authorization: Bearer mxi_abc\r\nx-api-key: mxi_abd\r\n") == Kind::Two);
  CHECK(kindOf("x-api-key: mxi_abc\r\nx-api-key: sk-ant-x\r\n") == Kind::Two);
  CHECK(kindOf("Authorization: Bearer mxi_abc\r\nAuthorization: Basic eA==\r\n") == Kind::Two);
  CHECK(kindOf("x_api_key: mxi_abc\r\n") == Kind::None); // nor does it go on, see below
}

TEST_CASE("an upstream gets what describes the call, and nothing that says who called") {
  const std::string passes = "anthropic-version: 2026-10-21\r\nAnthropic-Beta: a,b\r\nx-stainless-lang: js\r\n"
                             "Content-Type: application/json\r\nAccept: */*\r\nUser-Agent: sdk\r\n"
                             "x-claude-code-session-id: s\r\n";
  CHECK(sentUp(passes) == passes);
  const std::string trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
  CHECK(sentUp(trace + "tracestate: a=b\r\n") == "tracestate: a=b\r\n");
  CHECK(sentUp(trace + trace + "tracestate: a=b\r\n").empty());
  CHECK(sentUp("traceparent: mxi_abc\r\ntracestate: a=b\r\n").empty());
  for (const std::string field : {"Authorization: Bearer mxi_abc",
                                  "x-api-key: mxi_abc",
                                  "X_Api_Key: a",
                                  "x-api_key: a",
                                  "x-api-key-2: a",
                                  "Cookie: a=b",
                                  "X-Forwarded-For: 1.2.3.4",
                                  "x-forwarded_host: evil",
                                  "Forwarded: for=1",
                                  "X-Real-IP: 1",
                                  "x-matrix-user: root",
                                  "X-Matrix-Session: s",
                                  "x-original-url: /v1/files",
                                  "CF-Connecting-IP: 1",
                                  "Accept-Encoding: gzip",
                                  "Origin: https://evil",
                                  "Referer: https://evil",
                                  "Content-Encoding: gzip",
                                  "x-note: my mxi_token",
                                  "anthropic-note: hush",
                                  "Via: 1.1 me",
                                  "Host2: evil"})
    CHECK_MESSAGE(sentUp(field + "\r\n").empty(), field);
}

TEST_CASE("a caller gets what describes the answer, without the shared key's limits, its owner's cookies and the key") {
  const KeyList hidden("sk-ant-secret");
  CHECK(sentDown("request-id: req_1\r\nretry-after: 3\r\nx-should-retry: true\r\nanthropic-fast: 1\r\n"
                 "Content-Type: text/event-stream\r\n",
                 hidden) == "request-id: req_1\r\nretry-after: 3\r\nx-should-retry: true\r\nanthropic-fast: 1\r\n"
                            "Content-Type: text/event-stream\r\n");
  for (const std::string field :
       {"Set-Cookie: a=b", "anthropic-ratelimit-requests-remaining: 1", "Anthropic-RateLimit-Unified-Status: allowed",
        "Location: https://evil", "Alt-Svc: h3=1", "Server: x", "Strict-Transport-Security: max-age=1",
        "x-sk-ant-secret: named so"})
    CHECK_MESSAGE(sentDown(field + "\r\n", hidden).empty(), field);
  CHECK(sentDown("x-echo: a sk-ant-secret b\r\n", hidden) == "x-echo: a xxxxxxxxxxxxx b\r\n");
}

TEST_CASE("paths are taken as they are written") {
  const std::vector<std::string> passed{"/v1/files"};
  const auto route = [&](std::string_view method, std::string_view path) {
    return findRoute(method, path, passed).route;
  };
  CHECK(route("POST", "/v1/messages") == Route::Messages);
  CHECK(route("GET", "/v1/messages") == Route::OtherMethod);
  CHECK(route("POST", "/v1/messages/count_tokens") == Route::CountTokens);
  CHECK(route("GET", "/v1/models") == Route::Models);
  CHECK(route("HEAD", "/v1/models/claude-haiku-5-5") == Route::Models);
  CHECK(route("GET", "/v1/files") == Route::Passed);
  CHECK(route("DELETE", "/v1/files/file_1/content") == Route::Passed);
  for (const char *path :
       {"/v1/filesystem", "/v1/messages/batches", "/v1/complete", "/v1/messages/", "//v1/messages", "/v1//messages",
        "/v1/./messages", "/v1/models/..", "/v1/files/../messages", "/v1/%6dessages", "/v1/models/a%2f..",
        "/V1/messages", "/v1/models/", "/", "/api/hello", "/usage", "/v1/models/a/b", "/send/", "/admin/#@evil"})
    CHECK_MESSAGE(route("POST", path) != Route::Messages, path);
  CHECK(route("POST", "/v1/messages/batches") == Route::None);
  CHECK(route("GET", "/v1/filesystem") == Route::None);
  CHECK(route("GET", "/v1/files/../messages") == Route::None);
  CHECK(route("GET", "/usage/summary") == Route::UsageSummary); // and no user of that name
  CHECK(route("GET", "/usage/me") == Route::UsageMe);
  CHECK(findRoute("GET", "/usage/alice", passed).handle == "alice");
  CHECK(findRoute("GET", "/usage/alice/daily", passed).handle == "alice");
  CHECK(route("GET", "/usage/alice/daily") == Route::UsageDaily);
  CHECK(route("GET", "/usage/a/b/daily") == Route::None);
  CHECK(findRoute("POST", "/quotas/alice", passed).handle == "alice");
  CHECK(route("DELETE", "/instances/alice") == Route::Forget);
  CHECK(route("POST", "/instances/register") == Route::Register);
  CHECK(findRoute("POST", "/send/bob", passed).handle == "bob");
  CHECK(isAdmins(Route::UsageSummary));
  CHECK_FALSE(isAdmins(Route::UsageMe));
  CHECK_FALSE(isAdmins(Route::Send));
}

TEST_CASE("rates hold per user, and come back evenly") {
  RateLimits limits;
  using Limit = RateLimits::Limit;
  { // none are set
    const auto answer = limits.enter("u", 0);
    CHECK(answer.limit == Limit::None);
  }
  limits.use({.requestsPerMinute = 2, .tokensPerMinute = 600, .concurrent = 0});
  CHECK(limits.enter("u", 0).limit == Limit::None);
  CHECK(limits.enter("u", 0).limit == Limit::None);
  const auto third = limits.enter("u", 0);
  CHECK(third.limit == Limit::Requests);
  CHECK(third.waitMs == 30'000);
  CHECK(limits.enter("other", 0).limit == Limit::None);
  CHECK(limits.left("u", 0).requests == 0);
  CHECK(limits.enter("u", 30'000).limit == Limit::None);

  CHECK(limits.takeTokens("u", 500, 0).limit == Limit::None);
  CHECK(limits.takeTokens("u", 200, 0).waitMs == 10'000);
  limits.correctTokens("u", 500, 100, 0);
  CHECK(limits.left("u", 0).tokens == 500);
  CHECK(limits.takeTokens("u", 500, 0).limit == Limit::None);
  CHECK(limits.takeTokens("u", 1, 0).limit == Limit::Tokens);
  // More than a minute's worth waits for a whole minute, not for ever.
  CHECK(limits.takeTokens("u", 1'000'000, 60'000).limit == Limit::None);

  limits.use({.requestsPerMinute = 0, .tokensPerMinute = 0, .concurrent = 2});
  {
    auto one = limits.enter("v", 0);
    auto two = limits.enter("v", 0);
    CHECK(limits.enter("v", 0).limit == Limit::Concurrent);
    RateLimits::Place moved = std::move(one.place);
    CHECK(limits.enter("v", 0).limit == Limit::Concurrent);
  }
  CHECK(limits.enter("v", 0).limit == Limit::None);
}

TEST_CASE("whose a token is is asked again after a second, and at once for tokens of nobody") {
  int asked = 0;
  bool good = true;
  const FindOwner find = [&](std::string_view token) -> std::optional<Owner> {
    ++asked;
    if (!good || token != "mxi_a") return std::nullopt;
    return Owner{"01A", "alice", true, {"172.18.0.5"}};
  };
  OwnerCache cache(find);
  const auto owner = cache.find("mxi_a", 0);
  REQUIRE(owner);
  CHECK(owner->handle == "alice");
  CHECK(cache.find("mxi_a", 999) == owner);
  CHECK(asked == 1);
  CHECK_FALSE(cache.find("mxi_b", 0));
  CHECK_FALSE(cache.find("mxi_b", 0));
  CHECK(asked == 3);
  good = false;
  CHECK_FALSE(cache.find("mxi_a", 1'000));
  CHECK_FALSE(cache.find("mxi_a", 1'001));
  // Nor is it remembered that nobody knows yet where an instance runs.
  const FindOwner starting = [&](std::string_view) { return Owner{"01A", "alice", true, {}}; };
  OwnerCache early(starting);
  CHECK(early.find("mxi_a", 0)->addresses.empty());
  CHECK(early.find("mxi_a", 0) != early.find("mxi_a", 0));

  CHECK(owner->mayCallFrom(Address::parse("172.18.0.5:9")));
  CHECK(owner->mayCallFrom(Address::parse("[::ffff:172.18.0.5]:9")));
  CHECK_FALSE(owner->mayCallFrom(Address::parse("172.18.0.6:9")));
  CHECK_FALSE(owner->mayCallFrom(Address::parse("127.0.0.1:9")));
  CHECK(Owner{"01A", "alice", false, {}}.mayCallFrom(Address::parse("127.0.0.1:9")));
}

TEST_CASE("instances are known by their addresses as long as they have them") {
  Instances instances(std::make_shared<NoResolver>());
  instances.apply(record("alice", "172.18.0.5", 1));
  instances.apply(record("bob", "172.18.0.6", 2));
  CHECK(instances.isOurs(Address::parse("172.18.0.5:1")));
  CHECK_FALSE(instances.isOurs(Address::parse("172.18.0.7:1")));
  REQUIRE(instances.find("bob"));
  CHECK(instances.find("bob")->authority == "172.18.0.6:4000");
  CHECK(instances.find("bob")->gateway);
  CHECK_FALSE(instances.find("carol"));
  instances.apply(record("bob", "", 4, matrixos::InstanceStatus::Stopped));
  instances.apply(record("bob", "172.18.0.6", 3)); // late
  CHECK_FALSE(instances.isOurs(Address::parse("172.18.0.6:1")));
  CHECK_FALSE(instances.find("bob")->gateway);
  instances.apply(record("alice", "", 5, matrixos::InstanceStatus::Deleted));
  CHECK_FALSE(instances.find("alice"));
  CHECK_FALSE(instances.isOurs(Address::parse("172.18.0.5:1")));

  instances.enter("carol", "http://10.0.0.1:4000/base/", 0);
  CHECK(instances.find("carol")->prefix == "/base");
  CHECK(instances.listJson() ==
        R"([{"handle":"carol","gatewayUrl":"http://10.0.0.1:4000/base/","registeredAt":"1970-01-01T00:00:00.000Z"}])");
  for (const char *url :
       {"https://a", "http://", "http://u@a/", "http://a/?b", "http://a/../b", "ftp://a", "http://a b"})
    CHECK_MESSAGE(matrixos::test::errorOf([&] { instances.enter("dave", url, 0); }).status() ==
                      matrixos::Status::InvalidArgument,
                  url);
  CHECK(matrixos::test::errorOf([&] { instances.enter("bob", "http://a", 0); }).status() ==
        matrixos::Status::AlreadyExists);
  CHECK(matrixos::test::errorOf([&] { instances.enter("dave", "http://a/" + std::string(1024, 'b'), 0); }).status() ==
        matrixos::Status::InvalidArgument);
  // An instance of the platform's comes first, as long as there is one.
  instances.apply(record("carol", "172.18.0.8", 6));
  CHECK(instances.find("carol")->authority == "172.18.0.8:4000");
  instances.apply(record("carol", "", 7, matrixos::InstanceStatus::Deleted));
  CHECK(instances.find("carol")->prefix == "/base");
  CHECK(instances.forget("carol"));
  CHECK_FALSE(instances.forget("carol"));
}

TEST_CASE("a user's own instances") {
  Instances instances(std::make_shared<NoResolver>());
  for (const char *handle : {"bob", "alice", "carol"}) {
    matrixos::InstanceRecord one = record(handle, "172.18.0.5", 1);
    one.clerkUserId = std::string(handle) == "carol" ? "" : "ada";
    instances.apply(one);
  }
  CHECK(instances.ownedBy("ada") == std::vector<std::string>{"alice", "bob"});
  CHECK(instances.ownedBy("eve").empty());
  CHECK(instances.ownedBy("").empty()); // carol is nobody's
}

TEST_CASE("refusals are in the shape that clients read") {
  CHECK(errorJson("billing_error", "say \"no\"", "req_1") ==
        R"({"type":"error","error":{"type":"billing_error","message":"say \"no\""},"request_id":"req_1"})");
  CHECK(errorType(413) == "request_too_large");
  CHECK(errorType(415) == "invalid_request_error");
}
