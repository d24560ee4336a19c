#include <matrixos/instance_record.hpp>
#include <matrixos/wake_answer.hpp>

#include <doctest/doctest.h>

#include <string>
#include <utility>

using namespace matrixos;

namespace {

/// A record of which every member says something.
InstanceRecord whole() {
  InstanceRecord record;
  record.id = "01KAZ6Q0F0000000000000000A";
  record.handle = "alice";
  record.clerkUserId = "user_1";
  record.containerId = "c0ffee";
  record.port = 4001;
  record.shellPort = 3001;
  record.status = InstanceStatus::Stopped;
  record.phase = InstancePhase::Starting;
  record.desired = InstanceDesired::Running;
  record.rev = 7;
  record.generation = 3;
  record.runtime = "docker";
  record.image = "demo";
  record.imageDigest = "sha256:1";
  record.lastError = "a \"quoted\" \\ line\n, ü";
  record.createdAt = 1764000000007;
  record.lastActive = 1764000000008;
  record.activitySeq = 9;
  record.retryAt = 1764000000009;
  record.endpoints = {{"gateway", "fd00::1", 4000, "bridge", "e1"}, {"shell", "127.0.0.1", 3001, "host", ""}};
  record.progress = std::make_shared<const InstanceProgress>(InstanceProgress{"pull", 5, 10});
  return record;
}

/// The least that is a record, with more members.
std::string with(const std::string &more) {
  return R"({"id":"i","handle":"alice","rev":1,"status":"running")" + (more.empty() ? "" : "," + more) + "}";
}

std::string refusal(const std::string &json) {
  try {
    InstanceRecord::parse(json);
  } catch (const Error &e) {
    CHECK(e.status() == Status::InvalidArgument);
    return e.what();
  }
  return "taken";
}

} // namespace

TEST_CASE("what is written is read again") {
  const InstanceRecord record = whole();
  const std::string json = record.toJson();
  const auto read = InstanceRecord::parse(json);
  CHECK(read.toJson() == json);
  CHECK(read.lastError == record.lastError);
  CHECK(read.endpoints == record.endpoints);
  CHECK(read.phase == InstancePhase::Starting);
  CHECK(read.retryAt == record.retryAt);
  CHECK(read.progress->total == 10);
  CHECK(json.find(R"({"handle":"alice","clerkUserId":"user_1","containerId":"c0ffee","port":4001,"shellPort":3001,)"
                  R"("status":"stopped","createdAt":"2025-11-24T16:00:00.007Z",)") == 0);
  const auto later = InstanceRecord::parse(record.toJson(1764000000999, 10, nullptr));
  CHECK(later.lastActive == 1764000000999);
  CHECK(later.activitySeq == 10);
  CHECK(later.progress == nullptr);
}

TEST_CASE("a deleted one says no more than who it was") {
  InstanceRecord record = whole();
  record.status = InstanceStatus::Deleted;
  CHECK(record.toJson() == R"({"handle":"alice","id":"01KAZ6Q0F0000000000000000A","rev":7,"status":"deleted"})");
  CHECK(InstanceRecord::parse(record.toJson()).gone());
}

TEST_CASE("members that are absent, null or unknown") {
  for (const char *more : {"", R"("port":null,"phase":null,"createdAt":null,"endpoints":null,"progress":null)",
                           R"("colour":"blue","nested":{"status":[1]})"}) {
    CAPTURE(more);
    const auto record = InstanceRecord::parse(with(more));
    CHECK(record.running());
    CHECK_FALSE(record.gone());
    CHECK(record.port == 0);
    CHECK(record.phase == InstancePhase::Unknown);
    CHECK(record.desired == InstanceDesired::Unknown);
    CHECK(record.createdAt == 0);
    CHECK(record.retryAt == 0);
    CHECK(record.endpoints.empty());
    CHECK(record.progress == nullptr);
  }
}

TEST_CASE("words of a later version are no error") {
  const auto record = InstanceRecord::parse(
      R"({"id":"i","handle":"a","rev":1,"status":"levitating","phase":"Starting","desired":"paused"})");
  CHECK(record.status == InstanceStatus::Unknown);
  CHECK(record.phase == InstancePhase::Unknown);
  CHECK(record.desired == InstanceDesired::Unknown);
}

TEST_CASE("what has to be there and is not, and what has another type, is named") {
  for (const char *key : {"id", "handle", "rev", "status"}) {
    std::string json = with("");
    json.replace(json.find('"' + std::string(key) + '"') + 1, 1, "x");
    CAPTURE(json);
    CHECK(refusal(json).find('"' + std::string(key) + "\" is missing") == 0);
  }
  for (const auto &[key, value] : {std::pair{"status", "5"},
                                   {"rev", "-1"},
                                   {"rev", "\"1\""},
                                   {"rev", "1.5"},
                                   {"clerkUserId", "[]"},
                                   {"port", "65536"},
                                   {"shellPort", "true"},
                                   {"phase", "{}"},
                                   {"createdAt", "\"monday\""},
                                   {"lastActive", "1764"},
                                   {"retryAt", "\"\""},
                                   {"activitySeq", "-5"},
                                   {"lastError", "0"},
                                   {"endpoints", "{}"},
                                   {"endpoints", "[1]"},
                                   {"progress", "[]"}}) {
    const std::string member = '"' + std::string(key) + "\":" + value;
    CAPTURE(member);
    std::string json = with("");
    if (json.find('"' + std::string(key) + "\":") != std::string::npos)
      json = R"({"id":"i","handle":"a","rev":1,"status":"running",)" + member + "}"; // the last one counts
    else
      json = with(member);
    CHECK(refusal(json).find('"' + std::string(key) + '"') != std::string::npos);
  }
  for (const char *endpoint :
       {R"({"address":"1.2.3.4","port":1})", R"({"name":"shell","port":1})", R"({"name":"shell","address":"a"})",
        R"({"name":"shell","address":"a","port":0})", R"({"name":"shell","address":"a","port":65536})",
        R"({"name":"shell","address":"a","port":"1"})", R"({"name":"shell","address":"a","port":1,"epoch":1})"}) {
    CAPTURE(endpoint);
    CHECK(refusal(with("\"endpoints\":[" + std::string(endpoint) + "]")) != "taken");
  }
  for (const char *bad : {"", "[]", "null", "{", "{\"id\":\"\xff\"}"}) {
    CAPTURE(bad);
    CHECK(refusal(bad) != "taken");
  }
}

TEST_CASE("one member is found without reading the others") {
  const std::string json = R"( { "a" : {"x":"}\"{","y":[1,{"b":2}]} , "b":-1.5e3,"c":"te\\\"xt", "d":[ ] ,"e":null})";
  CHECK(findMember(json, "a") == R"({"x":"}\"{","y":[1,{"b":2}]})");
  CHECK(findMember(json, "b") == "-1.5e3");
  CHECK(findMember(json, "c") == R"("te\\\"xt")");
  CHECK(findMember(json, "d") == "[ ]");
  CHECK(findMember(json, "e") == "null");
  CHECK(findMember(*findMember(json, "a"), "y") == R"([1,{"b":2}])");
  CHECK_FALSE(findMember(json, "x"));
  CHECK_FALSE(findMember("{}", "a"));
  CHECK(memberText(json, "c") == R"(te\\\"xt)");
  for (const char *key : {"a", "b", "d", "e", "x"})
    CHECK(memberText(json, key).empty());
  // Wherever the text breaks off, what is found is what stands there.
  for (std::size_t length = 0; length < json.size(); ++length) {
    const std::string part(json, 0, length);
    const auto found = findMember(part, "a");
    CHECK((!found || found == findMember(json, "a")));
  }
  for (const char *bad :
       {"", "[1]", "\"a\"", "{\"a\"", "{\"a\":", "{\"a\":}", "{a:1}", "{aaa:1}", "{\"a\" 1}", "{\"a\":\"", "{,}"}) {
    CAPTURE(bad);
    CHECK_FALSE(findMember(bad, "a"));
  }
}

TEST_CASE("the answer to a wake") {
  const std::string record = whole().toJson();
  const std::string json = WakeAnswer{record, 0, {1, 230, 40}}.toJson();
  CHECK(json == R"({"instance":)" + record + R"(,"phases":{"queueMs":1,"engineMs":230,"readyMs":40}})");
  const WakeAnswer answer = WakeAnswer::read(json);
  CHECK(answer.instance == record);
  CHECK(answer.rev == 7);
  CHECK(answer.phases.engineMs == 230);
  CHECK(WakeAnswer::read(R"({"instance":{"rev":3},"phases":{"engineMs":1.9}})").phases.engineMs == 1);
  CHECK(WakeAnswer::read(R"({"instance":{"rev":3}})").phases.readyMs == 0);
  for (const char *bad : {"", "{}", "[]", R"({"instance":{}})", R"({"instance":{"rev":"7"}})", R"({"instance":7})"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(WakeAnswer::read(bad), Error);
  }
}
