/// The gateway as programs inside real containers see it: their own instance's, another's, and a stranger's.
#include "ContainerScene.h"
#include "Costs.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <ifaddrs.h>
#include <support/Text.h>
#include <support/Wait.h>

#include <array>
#include <filesystem>

using namespace matrixos::test;

namespace {

const ContainerEngine &engine() {
  static const ContainerEngine it(TEST_ENGINE);
  return it;
}

std::string get(const std::string &target, const Headers &fields = {}) {
  return requestText("GET", target, fields);
}

/// Every IPv4 address of this machine.
std::set<std::string> ownAddresses() {
  std::set<std::string> all;
  ifaddrs *list = nullptr;
  REQUIRE(::getifaddrs(&list) == 0);
  for (const ifaddrs *one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
    std::array<char, INET_ADDRSTRLEN> text{};
    const auto *address = reinterpret_cast<const sockaddr_in *>(one->ifa_addr);
    all.insert(::inet_ntop(AF_INET, &address->sin_addr, text.data(), text.size()));
  }
  ::freeifaddrs(list);
  return all;
}

/// The scene with two instances, of which the first one's calls are served.
struct Two : ContainerScene {
  Two() : ContainerScene(engine()) { REQUIRE(isServed(a, token)); }

  const std::string a = provision(), b = provision();
  const std::string inA = containerOf(a), inB = containerOf(b);
  const std::string token = tokenOf(a);
  /// Where containers reach this machine.
  std::string gatewayAddress() const {
    std::set<std::string> all = listeningAt();
    REQUIRE(all.erase("127.0.0.1") == 1);
    REQUIRE(all.size() == 1);
    return *all.begin();
  }
};

} // namespace

TEST_CASE("an instance finds the gateway and its token in its environment, and pays exactly what its calls cost") {
  const Two two;
  const std::string environment = two.environment(two.inA) + "\n";
  checkHas(environment, "ANTHROPIC_BASE_URL=http://proxy:" + std::to_string(two.port) + "\n");
  checkHas(environment, "ANTHROPIC_API_KEY=" + two.token + "\n");
  checkHas(environment, "MATRIX_TOKEN=" + two.token + "\n");
  CHECK(two.token.rfind("mxi_", 0) == 0);
  CHECK(two.token != two.tokenOf(two.b));

  std::int64_t spent = ContainerScene::kCallPico;
  CHECK(two.spentBy(two.a) == spent);
  for (const bool stream : {false, true}) {
    CAPTURE(stream);
    const LlmVector &vector = kLlmVectors[0];
    const Response answer =
        two.ask(two.inA, requestText("POST", "/v1/messages",
                                     {{"Authorization", "Bearer " + two.token}, {"anthropic-version", "2026-10-21"}},
                                     bodyOf(vector, stream)));
    CHECK_MESSAGE(answer.status == 200, answer.body);
    CHECK(has(answer.body, stream ? "event: message_stop" : "\"output_tokens\":550"));
    spent += vector.pico;
    CHECK(two.spentBy(two.a) == spent);
  }
  CHECK(two.spentBy(two.b) == 0);
  for (const std::string &call : two.upstream.calls())
    CHECK(has(call, "\"key\":\"c0nt\""));
}

TEST_CASE("a token is good from its own container alone, and the gateway is there for ours") {
  Two two;
  const std::string stranger = two.addStranger(), gateway = two.gatewayAddress();
  const auto statusIn = [&](const std::string &container, const std::string &bytes) {
    const Response answer = two.ask(container, bytes, gateway); // a stranger has no name for it
    INFO(answer.body);
    CHECK(answer.status != 0);
    return answer.status;
  };
  const std::string call = ContainerScene::callText(two.token);
  const Response other = two.ask(two.inB, call);
  CHECK(other.status == 401);
  checkHas(other.body, "only good from its own instance");
  CHECK(statusIn(stranger, call) == 401);
  for (const std::string &address : {std::string("127.0.0.1"), gateway}) {
    CAPTURE(address);
    RawConnection host(connectTo(address, two.port));
    host.send(call);
    CHECK(host.receiveResponse().status == 401);
  }

  CHECK(statusIn(two.inB, get("/health")) == 200);
  CHECK(statusIn(two.inB, get("/usage/" + two.a, {{"x-api-key", two.tokenOf(two.b)}})) == 403);
  const std::string secret = readFile(two.daemon.dir() / "data/admin.secret");
  for (const std::string &credential : {std::string("none"), std::string("sk-ant-of-his-own"), secret.substr(0, 43)}) {
    CAPTURE(credential);
    CHECK(statusIn(stranger, ContainerScene::callText(credential)) == 403);
    CHECK(statusIn(stranger, get("/usage/summary", {{"Authorization", "Bearer " + credential}})) == 403);
  }
  CHECK(statusIn(stranger, get("/health")) == 403);
  CHECK(two.spentBy(two.a) == ContainerScene::kCallPico);
  CHECK(two.spentBy(two.b) == 0);
  CHECK(two.upstream.calls().size() == 1);
}

TEST_CASE("nothing that a request says changes who pays, or where it goes") {
  const Two two;
  const std::string b = two.addressOf(two.inB), elsewhere = b + ":4000";
  struct Attempt {
    std::string target;
    Headers fields;
    int status;
  };
  const Attempt attempts[] = {
      {"/v1/messages", {{"X-Forwarded-For", b}, {"X-Real-IP", b}, {"Forwarded", "for=" + b}}, 200},
      {"/v1/messages", {{"X-Matrix-User", two.b}, {"X-Matrix-Handle", two.b}, {"x_matrix_user", two.b}}, 200},
      {"/v1/messages", {{"Host", elsewhere}, {"X-Forwarded-Host", elsewhere}}, 200},
      {"/v1/messages", {{"Host", "localhost:8080/#@" + elsewhere}}, 400},
      {"http://" + elsewhere + "/v1/messages", {{"Host", elsewhere}}, 200},
      {"http://proxy@" + elsewhere + "/v1/messages", {{"Host", elsewhere}}, 400},
      {"/v1/messages", {{"X-Api-Key", two.tokenOf(two.b)}}, 401},
  };
  std::size_t calls = 1;
  for (const Attempt &attempt : attempts) {
    CAPTURE(attempt.target);
    CAPTURE(attempt.fields.front().second);
    const Response answer = two.ask(two.inA, ContainerScene::callText(two.token, attempt.fields, attempt.target));
    CHECK_MESSAGE(answer.status == attempt.status, answer.body);
    if (answer.status != 200) continue;
    ++calls;
    CHECK(two.spentBy(two.a) == static_cast<std::int64_t>(calls) * ContainerScene::kCallPico);
    const std::string sent = two.upstream.requestOf(answer.headers.at("request-id"));
    REQUIRE(has(sent, "/v1/messages"));
    for (const std::string &part : {b, two.b, std::string("mxi_")})
      CHECK_MESSAGE(!has(sent, part), sent);
  }
  CHECK(two.upstream.calls().size() == calls);
  CHECK(two.spentBy(two.b) == 0);
}

TEST_CASE("the gateway listens where containers reach this machine, and nowhere else") {
  const Two two;
  const std::string gateway = two.gatewayAddress();
  std::set<std::string> others = ownAddresses();
  CHECK(others.erase(gateway) == 1);
  for (const std::string &address : others) {
    CAPTURE(address);
    const Response inside = two.ask(two.inA, get("/health"), address);
    if (ownAddresses().count(address) == 0) continue; // another test's network, which is gone
    CHECK(inside.status == 0);
    CHECK(has(inside.body, "refused"));
    if (address != "127.0.0.1") CHECK_THROWS(connectTo(address, two.port));
  }
}

TEST_CASE("a token ends with its container, and with its instance") {
  Two two;
  REQUIRE(two.daemon.api("POST", "/containers/" + two.a + "/stop").status == 200);
  two.runEngine({"rm", "-f", two.inA});
  REQUIRE(two.daemon.api("POST", "/containers/" + two.a + "/start").status == 200);
  const std::string next = two.tokenOf(two.a);
  CHECK(next != two.token);
  CHECK(two.isServed(two.a, next));
  // Whose a token is is believed for a second.
  const auto ends = [&](const std::string &container, const std::string &token) {
    return eventually([&] {
      const Response refused = two.ask(container, ContainerScene::callText(token));
      return refused.status == 401 && has(refused.body, "not any more");
    });
  };
  CHECK(ends(two.inA, two.token));
  REQUIRE(two.daemon.api("DELETE", "/containers/" + two.a).status == 200);
  CHECK(ends(two.inB, next));
}

TEST_CASE("an instance calls on with its token after the daemon was stopped, and after it was killed") {
  Two two;
  CHECK(two.daemon.stop() == 0);
  CHECK(two.ask(two.inA, ContainerScene::callText(two.token)).status == 0);
  two.daemon.start();
  CHECK(two.isServed(two.a, two.token));
  two.daemon.kill();
  two.daemon.start();
  CHECK(two.isServed(two.a, two.token));
  CHECK(two.tokenOf(two.a) == two.token);
  CHECK(two.spentBy(two.a) == 3 * ContainerScene::kCallPico);
}

TEST_CASE("an instance that the engine starts at another address calls from there, and who has the old one does not") {
  Two two;
  const std::string gateway = two.gatewayAddress();
  two.runEngine({"restart", "-t", "1", two.inA});
  CHECK(two.isServed(two.a, two.token));
  const std::string address = two.addressOf(two.inA);
  two.runEngine({"stop", "-t", "1", two.inA});
  const std::string squatter = two.addStranger(address);
  two.runEngine({"start", two.inA});
  CHECK(two.addressOf(two.inA) != address);
  CHECK(two.isServed(two.a, two.token));
  CHECK(eventually([&] { return two.ask(squatter, ContainerScene::callText(two.token), gateway).status == 401; }));
  CHECK(eventually([&] { return two.ask(squatter, get("/health"), gateway).status == 403; }));
}

TEST_CASE("the platform's key is nowhere but on the way to the upstream") {
  Two two;
  std::string seen = two.environment(two.inA) + two.runEngine({"inspect", two.inA, two.inB});
  for (const char *words : {"echo", "echo status=400 message=no", "echo status=500", "redirect=http://127.0.0.1:1/",
                            "cut=0", "gzip", "html status=502"}) {
    const Response answer = two.ask(two.inA, ContainerScene::callText(two.token, {}, "/v1/messages", words));
    seen += answer.body;
    for (const auto &[name, value] : answer.headers)
      seen += name + ": " + value + "\n";
  }
  seen +=
      two.daemon.api("GET", "/metrics").body + two.daemon.api("GET", "/ready").body + two.runEngine({"logs", two.inA});
  CHECK(two.daemon.stop() == 0);
  seen += two.daemon.log();
  CHECK(has(seen, "matrixos_ai_gateway_calls_total"));
  CHECK(has(seen, "x-echo"));
  CHECK_FALSE(has(seen, "sk-ant-canary"));
  CHECK_FALSE(has(two.daemon.log(), "mxi_"));
}

TEST_CASE("an instance sends as itself, whatever it says, and is told when the receiver sleeps") {
  Two two;
  const auto send = [&](const std::string &container, const std::string &token, const std::string &to) {
    return two.ask(container, requestText("POST", "/send/" + to, {{"x-api-key", token}},
                                          R"({"text":"hello from inside","from":{"handle":")" + two.b + R"("}})"));
  };
  CHECK(send(two.inB, two.token, two.a).status == 401);
  const Response sent = send(two.inA, two.token, two.b);
  CHECK_MESSAGE(sent.status == 200, sent.body);
  const std::string messages = two.daemon.web(two.b + ".localhost", "/api/messages").body;
  checkHas(messages, "hello from inside");
  checkHas(messages, R"("handle":")" + two.a + "\"");
  CHECK_FALSE(has(messages, two.b));
  CHECK(send(two.inA, two.token, "nobody").status == 404);

  REQUIRE(two.daemon.api("POST", "/containers/" + two.b + "/stop").status == 200);
  Response asleep;
  CHECK(eventually([&] { return (asleep = send(two.inA, two.token, two.b)).status == 503; }));
  checkHas(asleep.body, "does not run");
  CHECK(asleep.headers.count("retry-after") == 1);
  CHECK(member(two.daemon.api("GET", "/containers/" + two.b).body, "status") == "stopped");
}
