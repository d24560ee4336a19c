// What instances prove with that they are themselves.
#include "Fixture.h"
#include "InstanceToken.h"

#include <matrixos/orchestrator.hpp>

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

using namespace matrixos;
using namespace matrixos::test;
using orchestrator::InstanceToken;

namespace {

constexpr const char *kName = "matrixos-alice";

struct Alice : Fixture {
  Alice() {
    REQUIRE(provision("alice", "user_1").status == 201);
    REQUIRE(reconcile());
  }
  Answer post(const char *what) { return host->request("POST", "/containers/alice/" + std::string(what)); }
  std::string token() const { return runtime.env(kName, "MATRIX_TOKEN"); }
  std::string kept() {
    std::string hash;
    host->database().query("SELECT token_hash FROM containers WHERE handle = 'alice'", {},
                           [&](const storage::Row &row) {
                             hash = row.text(0);
                             return true;
                           });
    return hash;
  }
  std::optional<TokenOwner> ownerOf(const std::string &text) {
    return OrchestratorClient(service->orchestrator().table()).tokenOwner(text);
  }
  /// As versions without tokens left it.
  void takeToken() {
    host->database().exec("UPDATE containers SET token_hash = ''");
    restart();
    runtime.edit(kName, [](FakeRuntime::Container &container) {
      container.spec = R"({"env":{}})";
      std::string &label = container.labels.at(MOS_LABEL_SPEC_HASH);
      label.erase(label.find('-'));
    });
    REQUIRE(reconcile());
  }
};

/// What the API's providers say of a request with these header fields: "instance:alice", "401 REASON" or "unknown".
std::string asked(const Fixture &f, const std::vector<std::pair<std::string, std::string>> &headers) {
  struct Request : mos_identity_request {
    std::string said;
  };
  std::vector<mos_pair> fields;
  for (const auto &[name, value] : headers)
    fields.push_back({toAbi(name), toAbi(value)});
  Request request{};
  request.struct_size = sizeof(mos_identity_request);
  request.fields = fields.data();
  request.fields_count = static_cast<std::uint32_t>(fields.size());
  request.answer = [](const mos_identity_request *to, const mos_principal *given) {
    std::string &said = static_cast<Request *>(const_cast<mos_identity_request *>(to))->said; // it is this one
    if (given->kind == MOS_PRINCIPAL_UNKNOWN) said = "unknown";
    if (given->kind == MOS_PRINCIPAL_INSTANCE) said = fromAbi(given->id);
    if (given->kind == MOS_PRINCIPAL_REFUSED)
      said = std::to_string(given->status) + " " + std::string(fromAbi(given->reason));
  };
  const mos_identity_v1 *table = f.service->identity();
  REQUIRE(table->identify(table->self, &request, nullptr) == MOS_OK);
  return request.said;
}

} // namespace

TEST_CASE("each container has a token of its own, and its hash alone is kept") {
  Alice f;
  REQUIRE(f.provision("bobby", "user_2").status == 201);
  const std::string token = f.token();
  REQUIRE(token.size() == 47);
  CHECK(token.substr(0, 4) == "mxi_");
  CHECK(token.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") ==
        std::string::npos);
  CHECK(f.runtime.env(kName, "ANTHROPIC_API_KEY") == token);
  CHECK(f.runtime.env("matrixos-bobby", "MATRIX_TOKEN") != token);
  // sha256sum of "abc" (FIPS 180-2, appendix B.1).
  CHECK(InstanceToken::hashOf("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(f.kept() == InstanceToken::hashOf(token));
}

TEST_CASE("the token is told to nobody but the engine") {
  Alice f;
  const std::string token = f.token();
  f.runtime.failNext("start", engineFault());
  REQUIRE(f.post("stop").status == 200);
  REQUIRE(f.post("start").status == 503);
  REQUIRE(f.post("start").status == 200);
  std::vector<std::string> texts{f.get("alice").body, f.host->request("GET", "/containers").body, f.host->log()};
  for (const std::string &series : f.host->series())
    texts.push_back(series);
  const FakeRuntime::Container container = *f.runtime.container(kName);
  for (const auto &[key, value] : container.labels)
    texts.push_back(value);
  f.stop(); // with all of the database in its file
  texts.push_back(readFile(f.root / "platform.db"));
  texts.push_back(readFile(f.root / "platform.db-wal"));
  const std::string hash = InstanceToken::hashOf(token);
  CHECK(texts[texts.size() - 2].find(hash) != std::string::npos); // it would be seen
  for (std::size_t i = 0; i < texts.size(); ++i) {
    CAPTURE(i);
    CHECK(texts[i].find(token) == std::string::npos);
    CHECK(texts[i].find(token.substr(4)) == std::string::npos);
    if (i + 2 < texts.size()) CHECK(texts[i].find(hash) == std::string::npos);
  }
}

TEST_CASE("whose a token is, and from where it counts") {
  Alice f;
  const std::string token = f.token();
  const auto owner = f.ownerOf(token);
  REQUIRE(owner.has_value());
  CHECK(owner->id == f.field("alice", "id"));
  CHECK(owner->handle == "alice");
  CHECK(owner->bound);
  CHECK(owner->addresses == std::vector<std::string>{"172.18.0.5"});
  std::string other = token;
  other[10] = other[10] == 'a' ? 'b' : 'a';
  for (const std::string &wrong :
       {std::string(), std::string("mxi_"), token.substr(4), token + "=", token.substr(0, 46), other, f.kept()})
    CHECK_FALSE(f.ownerOf(wrong).has_value());
  // At rest it is the instance's all the same, and comes from nowhere.
  REQUIRE(f.post("stop").status == 200);
  REQUIRE(f.ownerOf(token).has_value());
  CHECK(f.ownerOf(token)->bound);
  CHECK(f.ownerOf(token)->addresses.empty());
}

TEST_CASE("a token is bound where the instance has an address of its own, unless the configuration says otherwise") {
  Alice f;
  bool bound = true;
  SUBCASE("it has") {}
  SUBCASE("it shares the machine's") {
    f.runtime.sharesNetwork = true;
    REQUIRE(f.post("stop").status == 200);
    REQUIRE(f.post("start").status == 200);
    CHECK(f.ownerOf(f.token())->addresses.empty());
    bound = false;
  }
  SUBCASE("it has, and that does not matter") {
    f.settings.bindsTokens = false;
    f.service->reconfigure(f.settings);
    CHECK(f.ownerOf(f.token())->addresses.size() == 1);
    bound = false;
  }
  CHECK(f.ownerOf(f.token())->bound == bound);
}

TEST_CASE("a token lasts as long as its container, over restarts of the daemon") {
  Alice f;
  const std::string token = f.token();
  f.restart();
  // Where it listens is found out again, and nobody waits for the next comparison.
  CHECK(eventually([&] { return !f.ownerOf(token)->addresses.empty(); }));
  REQUIRE(f.post("stop").status == 200);
  REQUIRE(f.post("start").status == 200);
  CHECK(f.token() == token);
  CHECK(f.ownerOf(token).has_value());
  REQUIRE(f.post("stop").status == 200);
  f.runtime.removeBehind(kName);
  REQUIRE(f.post("start").status == 200);
  CHECK(f.token() != token);
  CHECK_FALSE(f.ownerOf(token).has_value());
  CHECK(f.ownerOf(f.token()).has_value());
}

TEST_CASE("a deleted instance's token ends before its container does") {
  Alice f;
  const std::string token = f.token();
  f.runtime.hold("remove");
  const auto deletion = f.host->send("DELETE", "/containers/alice");
  REQUIRE(eventually([&] { return f.runtime.held("remove") == 1; }));
  CHECK_FALSE(f.ownerOf(token).has_value());
  CHECK(asked(f, {{"x-api-key", token}}) == "401 UNKNOWN_TOKEN");
  f.runtime.release("remove");
  CHECK(f.host->answerTo(deletion).status == 200);
  CHECK_FALSE(f.ownerOf(token).has_value());
}

TEST_CASE("the API knows an instance by its token, in either field") {
  Alice f;
  const std::string token = f.token();
  CHECK(asked(f, {{"Authorization", "Bearer " + token}}) == "instance:alice");
  CHECK(asked(f, {{"authorization", "bearer  " + token + " "}}) == "instance:alice");
  CHECK(asked(f, {{"X-Api-Key", token}}) == "instance:alice");
  CHECK(asked(f, {{"x-api-key", token}, {"Authorization", "Bearer " + token}}) == "instance:alice");
  CHECK(asked(f, {}) == "unknown");
  CHECK(asked(f, {{"Authorization", "Bearer mxo_abc"}, {"Cookie", token}}) == "unknown");
  CHECK(asked(f, {{"Authorization", token}}) == "unknown");
  CHECK(asked(f, {{"Authorization", "Bearer mxi_"}}) == "401 UNKNOWN_TOKEN");
  CHECK(asked(f, {{"x-api-key", "mxi_wrong"}}) == "401 UNKNOWN_TOKEN");
  CHECK(asked(f, {{"Authorization", "Bearer " + f.kept()}}) == "unknown");
  for (const char *other : {"Bearer mxo_abc", "Bearer mxi_wrong", "Basic YTpi"}) {
    CAPTURE(other);
    CHECK(asked(f, {{"Authorization", other}, {"x-api-key", token}}) == "401 TWO_CREDENTIALS");
    CHECK(asked(f, {{"Authorization", "Bearer " + token}, {"Authorization", other}}) == "401 TWO_CREDENTIALS");
  }
}

TEST_CASE("a container without a token goes on running, and is made anew at its next cold start") {
  Alice f;
  const std::string home = *f.runtime.volumeRefs().begin();
  const std::string ref = f.field("alice", "containerId");
  f.takeToken();
  CHECK(f.field("alice", "status") == "running");
  CHECK(f.post("start").status == 200);
  CHECK(f.field("alice", "containerId") == ref);
  SUBCASE("after a stop") {
    REQUIRE(f.post("stop").status == 200);
  }
  SUBCASE("after its program's end, which nobody has seen yet") {
    f.runtime.changeState(kName, "exited", 1);
  }
  SUBCASE("frozen first, which is not cold") {
    f.runtime.changeState(kName, "paused");
    REQUIRE(f.reconcile());
    REQUIRE(f.post("start").status == 200);
    CHECK(f.field("alice", "containerId") == ref);
    CHECK(f.kept().empty());
    REQUIRE(f.post("stop").status == 200);
  }
  REQUIRE(f.post("start").status == 200);
  CHECK(f.field("alice", "containerId") != ref);
  CHECK(f.runtime.count() == 1);
  CHECK(f.runtime.volumeRefs() == std::set<std::string>{home});
  CHECK(f.ownerOf(f.token()).has_value());
}

TEST_CASE("a container without a token is kept until its image is there") {
  Alice f;
  const std::string ref = f.field("alice", "containerId");
  f.takeToken();
  REQUIRE(f.post("stop").status == 200);
  f.runtime.failNext("pull", engineFault());
  CHECK(f.post("start").status == 503);
  CHECK(f.runtime.container(kName)->ref == ref);
  CHECK(f.post("start").status == 200);
  CHECK(f.kept() == InstanceToken::hashOf(f.token()));
}

TEST_CASE("what runs has the token that is recorded, however its making went wrong") {
  Alice f;
  REQUIRE(f.post("stop").status == 200);
  const std::string old = f.token();
  const FakeRuntime::Container before = *f.runtime.container(kName);
  f.runtime.removeBehind(kName);
  const auto turnUp = [&] {
    f.runtime.addForeign(kName, before.labels);
    f.runtime.edit(kName, [&](FakeRuntime::Container &late) {
      late = before;
      late.ref = "late";
      late.state = "created";
    });
  };
  bool taken = false;
  SUBCASE("its making was not heard of") {
    f.runtime.failNext("create", engineFault(true));
    CHECK(f.post("start").status == 503);
    taken = true;
  }
  SUBCASE("its making failed, and all the same it turns up before the next try") {
    f.runtime.failNext("create", engineFault());
    CHECK(f.post("start").status == 503);
    turnUp();
  }
  SUBCASE("the same, and the comparison sees it first") {
    f.runtime.failNext("create", engineFault());
    CHECK(f.post("start").status == 503);
    turnUp();
    REQUIRE(f.reconcile());
  }
  SUBCASE("it turns up while the next one is being made") {
    f.runtime.hold("create");
    const auto start = f.host->send("POST", "/containers/alice/start");
    REQUIRE(eventually([&] { return f.runtime.held("create") == 1; }));
    turnUp();
    f.runtime.release("create");
    CHECK(f.host->answerTo(start).status == 200);
  }
  const std::string made = f.token();
  REQUIRE(f.post("start").status == 200);
  CHECK(f.field("alice", "status") == "running");
  CHECK(f.runtime.count() == 1);
  CHECK(f.runtime.container(kName)->state == "running");
  CHECK(f.runtime.container(kName)->ref != "late");
  CHECK((f.token() == made) == (taken || made != old));
  CHECK(f.kept() == InstanceToken::hashOf(f.token()));
  CHECK_FALSE(f.ownerOf(old).has_value());
}

TEST_CASE("a database that was brought back knows no token of a container that was made since") {
  Alice f;
  const std::string token = f.token();
  f.host->database().exec("UPDATE containers SET container_id = 'gone', token_hash = 'of another one'");
  f.restart();
  REQUIRE(f.reconcile());
  CHECK(f.field("alice", "status") == "running");
  CHECK(f.kept().empty());
  CHECK_FALSE(f.ownerOf(token).has_value());
  REQUIRE(f.post("stop").status == 200);
  REQUIRE(f.post("start").status == 200);
  CHECK(f.ownerOf(f.token()).has_value());
}

TEST_CASE("what the runtime says of itself is passed on as it is") {
  Alice f;
  const OrchestratorClient client(f.service->orchestrator().table());
  CHECK(json::getString(*json::parseObject(client.runtimeCapabilities(Call(nullptr))), "engine") == "fake");
  f.runtime.failNext("capabilities", engineFault());
  CHECK_THROWS_AS(client.runtimeCapabilities(Call(nullptr)), Error);
}

TEST_CASE("an answer that says too little binds, and one of an older host says so") {
  const TokenOwner none = TokenOwner::parse("{}");
  CHECK(none.bound);
  CHECK(none.addresses.empty());
  const TokenOwner whole{"01KAZ", "alice", false, {"172.18.0.5", "fd00::5"}};
  const TokenOwner again = TokenOwner::parse(whole.toJson());
  CHECK(again.id == whole.id);
  CHECK(again.handle == whole.handle);
  CHECK_FALSE(again.bound);
  CHECK(again.addresses == whole.addresses);
  Alice f;
  mos_orchestrator_v1 old = *f.service->orchestrator().table();
  old.struct_size = offsetof(mos_orchestrator_v1, token_owner);
  CHECK_THROWS_AS(OrchestratorClient(&old).tokenOwner(f.token()), Error);
  CHECK_THROWS_AS(OrchestratorClient(&old).runtimeCapabilities(Call(nullptr)), Error);
}
