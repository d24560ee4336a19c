/// What the runtime makes of an engine's answers, where a real engine cannot be brought to give them.
#include "Fixture.h"

#include <atomic>

using namespace matrixos;
using namespace matrixos::docker;
using namespace matrixos::docker::test;
using namespace matrixos::test;

namespace {

const Call kCall(nullptr);

FakeAnswer message(int status, const std::string &text) {
  return answer(status, "{\"message\": \"" + text + "\"}");
}

json::Object::Ptr bodyOf(const FakeEngine &engine, const std::string &path) {
  for (const FakeRequest &request : engine.requests()) {
    if (request.method == "POST" && request.path == path) return json::parseObject(request.body);
  }
  FAIL("there was no such request");
  return nullptr;
}

} // namespace

TEST_CASE("a description has all the contract asks for") {
  Fixture f;
  f.engine.on("GET", "/containers/matrixos-alice/json",
              answer(200, inspectBody("running",
                                      R"({"matrixos.endpoint.gateway": "4000", "matrixos.endpoint.shell": "3000"})")));
  const auto d = json::parseObject(f.runtime.inspect(kCall, "matrixos-alice"));
  CHECK(json::getString(*d, "ref") == "c0ffee");
  CHECK(json::getString(*d, "name") == "matrixos-alice");
  CHECK(json::getString(*d, "image") == "img:1");
  CHECK(json::getString(*d, "imageDigest") == "sha256:1");
  CHECK(json::getString(*d, "health") == "none");
  CHECK(json::getInt(*d, "exitCode", 0) == 7);
  CHECK(json::getInt(*d, "restarts", -1) == 2);
  CHECK(json::getInt(*d, "startedAt", 0) == 1795446771717);
  CHECK(json::getInt(*d, "createdAt", 0) == 1795446771700);
  const auto endpoints = json::findArray(*d, "endpoints");
  REQUIRE(endpoints->size() == 3);
  CHECK(endpoints->getObject(0)->getValue<std::string>("address") == "172.18.0.5");
  CHECK(endpoints->getObject(0)->getValue<int>("port") == 4000);
  CHECK(endpoints->getObject(1)->getValue<int>("port") == 3000);
  CHECK(endpoints->getObject(2)->getValue<std::string>("scope") == "host");
  CHECK(endpoints->getObject(2)->getValue<int>("port") == 4001);
}

TEST_CASE("a container that does not run has no endpoints") {
  Fixture f;
  for (const char *state : {"created", "exited", "dead", "removing", "restarting"}) {
    f.engine.on("GET", "/containers/matrixos-alice/json",
                answer(200, inspectBody(state, R"({"matrixos.endpoint.gateway": "4000"})")));
    CHECK(f.runtime.endpoints(kCall, "matrixos-alice") == "[]");
  }
}

TEST_CASE("a ref that could leave its place in the path is refused before anything is sent") {
  Fixture f;
  for (const char *ref : {"", "..", "a/../../images", "a b", "a?force=1", "-x", "a%2fb"}) {
    CAPTURE(ref);
    CHECK(failure([&] { f.runtime.remove(kCall, ref, MOS_REMOVE_FORCE); }).status() == Status::InvalidArgument);
    CHECK(failure([&] { f.runtime.start(kCall, ref); }).status() == Status::InvalidArgument);
  }
  CHECK(f.engine.count("DELETE", "/containers/..") == 0);
}

TEST_CASE("a list is whole or a failure, and forgets what vanished meanwhile") {
  Fixture f;
  f.engine.on("GET", "/containers/json", answer(200, R"([{"Id": "c0ffee"}, {"Id": "gone"}])"));
  int items = 0;
  const auto count = [&](std::string_view) {
    ++items;
    return true;
  };
  f.runtime.list(kCall, "{}", count);
  CHECK(items == 1);
  // The second fails, so not even the first is told.
  items = 0;
  f.engine.on("GET", "/containers/gone/json", message(500, "boom"));
  CHECK(failure([&] { f.runtime.list(kCall, "{}", count); }).status() == Status::Unavailable);
  CHECK(items == 0);
  f.engine.on("GET", "/containers/json", answer(200, "null"));
  CHECK(failure([&] { f.runtime.list(kCall, "{}", count); }).reason() == MOS_REASON_ENGINE_REPLY);
}

TEST_CASE("labels are asked for exactly") {
  Fixture f;
  f.runtime.list(kCall, R"({"matrixos.install-id": "i 1"})", kTakeAll);
  const FakeRequest request = f.engine.requests().at(1);
  CHECK(contains(request.query, "all=1"));
  CHECK(contains(request.query, "filters=%7B%22label%22%3A%5B%22matrixos.install-id%3Di%201%22%5D%7D"));
}

TEST_CASE("creation: labels, network and limits reach the engine") {
  Fixture f;
  f.engine.on("GET", "/networks/matrixos-net", message(404, "network not found"));
  CallScope scope(std::chrono::seconds{20}, "op-1");
  CHECK(f.runtime.create(Call(scope.abi()), kSpec) == R"({"ref":"c0ffee"})");
  const auto network = bodyOf(f.engine, "/networks/create");
  CHECK(json::getString(*network, "Name") == "matrixos-net");
  CHECK(json::getBool(*network, "CheckDuplicate", false));
  CHECK(network->getObject("Labels")->getValue<std::string>("matrixos.install-id") == "install-1");
  const auto labels = bodyOf(f.engine, "/containers/create")->getObject("Labels");
  CHECK(labels->getValue<std::string>("matrixos.operation-id") == "op-1");
  CHECK(labels->getValue<std::string>("matrixos.install-id") == "install-1");
  CHECK(labels->getValue<std::string>("matrixos.spec-hash").size() == 64);
  CHECK(labels->getValue<std::string>("matrixos.endpoint.gateway") == "4000");
}

TEST_CASE("the older of two networks of one name stays") {
  Fixture f;
  f.engine.on("GET", "/networks/matrixos-net", message(404, "network not found"));
  f.engine.on("GET", "/networks", answer(200, R"([{"Id": "n2", "Name": "matrixos-net", "Created": "2026-01-02"},
    {"Id": "n1", "Name": "matrixos-net", "Created": "2026-01-01"}, {"Id": "n0", "Name": "matrixos-net-2", "Created": "2025"}])"));
  f.engine.on("POST", "/networks/create", answer(201, R"({"Id": "n2"})"));
  f.engine.on("DELETE", "/networks/n2", answer(204, ""));
  f.runtime.create(kCall, kSpec);
  CHECK(f.engine.count("DELETE", "/networks/n2") == 1);
}

TEST_CASE("somebody else making the network first is no failure, in Docker's and in Podman's words") {
  for (const int status : {409, 500}) {
    Fixture f;
    f.engine.on("POST", "/networks/create", message(status, "network already exists"));
    std::atomic<bool> first{true};
    f.engine.on("GET", "/networks/matrixos-net", [&](const FakeRequest &) {
      if (first.exchange(false)) return message(404, "network not found");
      return answer(200, R"({"Id": "n1", "Name": "matrixos-net"})");
    });
    CHECK(f.runtime.create(kCall, kSpec) == R"({"ref":"c0ffee"})");
  }
}

TEST_CASE("a taken name is adopted only from the same install") {
  Fixture f;
  CallScope scope(std::chrono::seconds{20}, "op-1");
  f.engine.on("POST", "/containers/create", message(409, "The container name is already in use by container x"));
  const auto holder = [&](const std::string &labels) {
    f.engine.on("GET", "/containers/matrixos-alice/json", answer(200, inspectBody("created", labels)));
  };
  holder(R"({"matrixos.install-id": "install-1", "matrixos.operation-id": "op-1"})");
  CHECK(f.runtime.create(Call(scope.abi()), kSpec) == R"({"ref":"c0ffee"})");
  for (const char *labels : {R"({"matrixos.install-id": "install-2", "matrixos.operation-id": "op-1"})",
                             R"({"matrixos.operation-id": "op-1"})", "{}",
                             R"({"matrixos.install-id": "install-1", "matrixos.operation-id": "op-2"})"}) {
    CAPTURE(labels);
    holder(labels);
    const Error error = failure([&] { f.runtime.create(Call(scope.abi()), kSpec); });
    CHECK(error.status() == Status::AlreadyExists);
    CHECK(error.reason() == MOS_REASON_NAME_IN_USE);
  }
  CHECK(f.engine.count("DELETE", "/containers/c0ffee") == 0);
}

TEST_CASE("a create whose answer is lost is undone, and nobody else's container is") {
  Fixture f;
  std::string attempt;
  f.engine.on("POST", "/containers/create", [&](const FakeRequest &request) {
    attempt = json::parseObject(request.body)->getObject("Labels")->getValue<std::string>("matrixos.attempt");
    return hangUp();
  });
  std::atomic<bool> ours{true};
  f.engine.on("GET", "/containers/matrixos-alice/json", [&](const FakeRequest &) {
    return answer(200, inspectBody("created", "{\"matrixos.attempt\": \"" + (ours ? attempt : "another") + "\"}"));
  });
  f.engine.on("DELETE", "/containers/c0ffee", answer(204, ""));
  CHECK(failure([&] { f.runtime.create(kCall, kSpec); }).reason() == MOS_REASON_ENGINE_UNREACHABLE);
  CHECK(f.engine.count("DELETE", "/containers/c0ffee") == 1);
  ours = false;
  CHECK(failure([&] { f.runtime.create(kCall, kSpec); }).reason() == MOS_REASON_ENGINE_UNREACHABLE);
  CHECK(f.engine.count("DELETE", "/containers/c0ffee") == 1);
}

TEST_CASE("a create that fails at its second network leaves neither container nor networks") {
  Fixture f;
  std::string attempt;
  f.engine.on("POST", "/containers/create", [&](const FakeRequest &request) {
    attempt = json::parseObject(request.body)->getObject("Labels")->getValue<std::string>("matrixos.attempt");
    return answer(201, R"({"Id": "c0ffee"})");
  });
  f.engine.on("GET", "/containers/matrixos-alice/json", [&](const FakeRequest &) {
    return answer(200, inspectBody("created", "{\"matrixos.attempt\": \"" + attempt + "\"}"));
  });
  f.engine.on("DELETE", "/containers/c0ffee", answer(204, ""));
  std::atomic<bool> made{false};
  f.engine.on("GET", "/networks/second", [&](const FakeRequest &) {
    return made ? answer(200, R"({"Id": "n2", "Name": "second"})") : message(404, "network not found");
  });
  f.engine.on("POST", "/networks/create", [&](const FakeRequest &) {
    made = true;
    return answer(201, R"({"Id": "n2"})");
  });
  f.engine.on("POST", "/networks/second/connect", message(500, "no addresses left"));
  f.engine.on("GET", "/containers/json", answer(200, "[]"));
  f.engine.on("DELETE", "/networks/n2", answer(204, ""));
  const Error error = failure([&] {
    f.runtime.create(kCall, R"({"name": "matrixos-alice", "image": "img:1",
                              "networks": [{"name": "matrixos-net"}, {"name": "second"}]})");
  });
  CHECK(contains(error.what(), "no addresses left"));
  CHECK(f.engine.count("DELETE", "/containers/c0ffee") == 1);
  CHECK(f.engine.count("DELETE", "/networks/n2") == 1);
  CHECK(f.engine.count("DELETE", "/networks/n1") == 0);
}

TEST_CASE("Podman gets the network's gateway for host names") {
  Fixture f;
  f.engine.on("GET", "/version", answer(200, R"({"Version": "4.3.1", "ApiVersion": "1.41",
    "Components": [{"Name": "Podman Engine"}]})"));
  f.engine.on("GET", "/networks/matrixos-net", answer(200, R"({"Id": "n1", "Name": "matrixos-net",
    "IPAM": {"Config": [{"Gateway": "fd00::1"}, {"Gateway": "10.89.0.1"}]}})"));
  f.runtime.create(kCall, kSpec);
  CHECK(bodyOf(f.engine, "/containers/create")
            ->getObject("HostConfig")
            ->getArray("ExtraHosts")
            ->getElement<std::string>(0) == "proxy:10.89.0.1");
}

TEST_CASE("the capabilities name the address behind host aliases, once it is known") {
  Fixture f;
  const auto named = [&] {
    return json::findString(*json::parseObject(f.runtime.capabilities(kCall)), "hostGateway").value_or("none");
  };
  f.engine.on("GET", "/version",
              answer(200, R"({"Version": "28.2.2", "ApiVersion": "1.50", "MinAPIVersion": "1.24"})"));
  f.engine.on("GET", "/networks/bridge", message(404, "network bridge not found"));
  CHECK(named() == "none");
  f.engine.on("GET", "/networks/bridge", message(500, "the engine burps"));
  CHECK(named() == "none");
  f.engine.on("GET", "/networks/bridge", answer(200, "[]"));
  CHECK(named() == "none");
  f.engine.on("GET", "/networks/bridge", answer(200, R"({"Id": "b1", "Name": "bridge",
    "IPAM": {"Config": [{"Subnet": "172.17.0.0/16", "Gateway": "no address"}]}})"));
  CHECK(named() == "none");
  f.engine.on("GET", "/networks/bridge", answer(200, R"({"Id": "b1", "Name": "bridge",
    "IPAM": {"Config": [{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}]}})"));
  CHECK(named() == "172.17.0.1");
  f.settings.hostGateway = "192.168.5.1";
  CHECK(named() == "192.168.5.1");
}

TEST_CASE("with Podman that is the gateway of the installation's network") {
  Fixture f;
  f.engine.on("GET", "/version", answer(200, R"({"Version": "4.3.1", "ApiVersion": "1.41",
    "Components": [{"Name": "Podman Engine"}]})"));
  const auto named = [&] {
    return json::findString(*json::parseObject(f.runtime.capabilities(kCall)), "hostGateway").value_or("none");
  };
  f.engine.on("GET", "/networks", answer(200, "[]"));
  CHECK(named() == "none");
  f.engine.on("GET", "/networks", answer(200, R"([{"Id": "n1", "Name": "matrixos-net", "Created": "1",
    "IPAM": {"Config": [{"Gateway": "10.89.0.1"}]}}])"));
  CHECK(named() == "10.89.0.1");
}

TEST_CASE("a start finds its port occupied, in the words of Docker's and Podman's proxies") {
  for (const char *words :
       {"driver failed: Bind for 127.0.0.1:4001 failed: port is already allocated",
        "cannot listen on the TCP port: listen tcp4 127.0.0.1:4001: bind: address already in use"}) {
    Fixture f;
    f.engine.on("POST", "/containers/matrixos-alice/start", message(500, words));
    const Error error = failure([&] { f.runtime.start(kCall, "matrixos-alice"); });
    CHECK(error.status() == Status::Aborted);
    CHECK(error.reason() == MOS_REASON_PORT_IN_USE);
    f.engine.on("GET", "/containers/matrixos-alice/json", answer(200, inspectBody("created")));
    const auto ports = json::parseObject(f.runtime.inspect(kCall, "matrixos-alice"))->getArray("occupiedPorts");
    REQUIRE(ports->size() == 1);
    CHECK(ports->getElement<int>(0) == 4001);
  }
}

TEST_CASE("a start that describes asks the engine twice; start and inspect ask three times for the same") {
  Fixture f;
  const std::string known = f.runtime.inspect(kCall, "matrixos-alice"); // the version has been asked for as well
  const auto requestsOf = [&](const std::function<void()> &action) {
    const std::size_t before = f.engine.requests().size();
    action();
    return f.engine.requests().size() - before;
  };
  const auto separately = [&] {
    f.runtime.start(kCall, "matrixos-alice");
    CHECK(f.runtime.inspect(kCall, "matrixos-alice") == known);
  };
  CHECK(requestsOf(separately) == 3);
  CHECK(requestsOf([&] { CHECK(f.runtime.startDescribed(kCall, "matrixos-alice") == known); }) == 2);
}

TEST_CASE("what starts and ends at once tells its exit code and last words") {
  Fixture f;
  f.engine.on("GET", "/containers/matrixos-alice/json", answer(200, inspectBody("exited")));
  const std::string text = "2026-11-23T15:12:51.7Z cannot open \x1b[31mthe shop\n";
  std::string frame("\x02\0\0\0\0\0\0", 7);
  frame += static_cast<char>(text.size());
  f.engine.on("GET", "/containers/matrixos-alice/logs", answer(200, frame + text));
  const Error error = failure([&] { f.runtime.start(kCall, "matrixos-alice"); });
  CHECK(error.status() == Status::FailedPrecondition);
  CHECK(error.reason() == "EXITED_AT_START");
  CHECK(contains(error.what(), "exit code 7"));
  CHECK(contains(error.what(), "cannot open [31mthe shop"));
}

TEST_CASE("a start joins the network again that somebody took the container off") {
  Fixture f;
  const std::string there = inspectBody("running");
  std::string gone = there;
  const std::string network = R"("matrixos-net": {"NetworkID": "n1", "IPAddress": "172.18.0.5"})";
  gone.replace(gone.find(network), network.size(), "");
  std::atomic<bool> joined{false};
  f.engine.on("POST", "/networks/matrixos-net/connect", [&](const FakeRequest &) {
    joined = true;
    return answer(200, "");
  });
  f.engine.on("GET", "/containers/matrixos-alice/json",
              [&](const FakeRequest &) { return answer(200, joined ? there : gone); });
  f.runtime.start(kCall, "matrixos-alice");
  CHECK(joined);
  CHECK(bodyOf(f.engine, "/networks/matrixos-net/connect")->getValue<std::string>("Container") == "c0ffee");
}

TEST_CASE("pause and unpause of what is already so") {
  Fixture f;
  f.engine.on("POST", "/containers/matrixos-alice/pause", message(409, "already paused"));
  f.engine.on("GET", "/containers/matrixos-alice/json", answer(200, inspectBody("paused")));
  f.runtime.pause(kCall, "matrixos-alice");
  f.engine.on("GET", "/containers/matrixos-alice/json", answer(200, inspectBody("exited")));
  CHECK(failure([&] { f.runtime.pause(kCall, "matrixos-alice"); }).status() == Status::FailedPrecondition);
  f.engine.on("POST", "/containers/matrixos-alice/unpause", message(500, "not paused"));
  CHECK(failure([&] { f.runtime.unpause(kCall, "matrixos-alice"); }).status() == Status::FailedPrecondition);
  f.engine.on("GET", "/containers/matrixos-alice/json", answer(200, inspectBody("running")));
  f.runtime.unpause(kCall, "matrixos-alice");
}

TEST_CASE("a frozen container is thawed before it is stopped, an absent one is stopped already") {
  Fixture f;
  f.engine.on("GET", "/containers/matrixos-alice/json", answer(200, inspectBody("paused")));
  f.runtime.stop(kCall, "matrixos-alice", std::chrono::milliseconds{1500});
  std::vector<std::string> paths;
  for (const FakeRequest &request : f.engine.requests()) {
    if (request.method == "POST") paths.push_back(request.path + "?" + request.query);
  }
  CHECK(paths ==
        std::vector<std::string>{"/containers/matrixos-alice/unpause?", "/containers/matrixos-alice/stop?t=2"});
  f.engine.on("GET", "/containers/matrixos-alice/json", message(404, "gone"));
  f.runtime.stop(kCall, "matrixos-alice", std::chrono::seconds{1});
  // A refusal counts for nothing once the container has ended.
  f.engine.on("POST", "/containers/matrixos-alice/stop", message(500, "odd"));
  f.engine.on("GET", "/containers/matrixos-alice/json", answer(200, inspectBody("exited")));
  f.runtime.stop(kCall, "matrixos-alice", std::chrono::seconds{1});
}

TEST_CASE("a removal already under way is waited for") {
  Fixture f;
  f.engine.on("DELETE", "/containers/matrixos-alice", message(409, "removal of container is already in progress"));
  std::atomic<int> looks{0};
  f.engine.on("GET", "/containers/matrixos-alice/json", [&](const FakeRequest &) {
    return ++looks < 3 ? answer(200, inspectBody("removing")) : message(404, "gone");
  });
  f.runtime.remove(kCall, "matrixos-alice", MOS_REMOVE_FORCE);
  CHECK(looks == 3);
}

TEST_CASE("unused networks: only ours, only without containers") {
  Fixture f;
  f.engine.on("GET", "/networks", answer(200, R"([{"Id": "n1", "Name": "used"}, {"Id": "n2", "Name": "unused"}])"));
  f.engine.on("GET", "/containers/json", [](const FakeRequest &request) {
    return answer(200, contains(request.query, "unused") ? "[]" : R"([{"Id": "c0ffee"}])");
  });
  f.engine.on("DELETE", "/networks/n2", answer(204, ""));
  f.runtime.remove(kCall, "matrixos-alice", MOS_REMOVE_FORCE | MOS_REMOVE_UNUSED_NETWORKS);
  CHECK(f.engine.count("DELETE", "/networks/n2") == 1);
  CHECK(f.engine.count("DELETE", "/networks/n1") == 0);
  for (const FakeRequest &request : f.engine.requests()) {
    if (request.path == "/networks") CHECK(contains(request.query, "matrixos.install-id%3Dinstall-1"));
  }
}

TEST_CASE("events in both engines' words; the end of the stream is UNAVAILABLE") {
  Fixture f;
  f.engine.on(
      "GET", "/events",
      chunked(
          200,
          {R"({"Type":"container","Action":"start","Actor":{"ID":"c0ffee","Attributes":{"name":"matrixos-alice"}},"time":17,"timeNano":17000000123})",
           "\n{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"c0ffee\",\"Attributes\":{\"exitCode\":"
           "\"137\"}},\"time\":18}\n",
           "{\"Type\":\"container\",\"Action\":\"exec_start: x\",\"Actor\":{}}\n",
           "{\"status\":\"remove\",\"id\":\"c0ffee\",\"time\":19}\n"}));
  std::vector<std::string> items;
  const Error error = failure([&] {
    f.runtime.events(kCall, "{}", [&](std::string_view item) {
      items.emplace_back(item);
      return true;
    });
  });
  CHECK(error.status() == Status::Unavailable);
  REQUIRE(items.size() == 3);
  CHECK(json::parseObject(items[0])->getValue<std::string>("type") == "started");
  CHECK(json::parseObject(items[0])->getValue<Poco::Int64>("time") == 17000);
  CHECK(json::parseObject(items[1])->getValue<int>("exitCode") == 137);
  CHECK(json::parseObject(items[2])->getValue<std::string>("type") == "removed");
  // A receiver that has enough is no failure.
  f.runtime.events(kCall, "{}", [](std::string_view) { return false; });
}

TEST_CASE("a container that runs and is taken off a network is told, if it has the labels") {
  Fixture f;
  const auto described = [](const char *state, const char *install) {
    return answer(200, std::string(R"({"Id":"c0ffee","Name":"/matrixos-alice","State":{"Status":")") + state +
                           R"("},"Config":{"Labels":{"matrixos.install-id":")" + install + "\"}}}");
  };
  f.engine.on("GET", "/containers/mine/json", described("running", "install-1"));
  f.engine.on("GET", "/containers/ended/json", described("exited", "install-1"));
  f.engine.on("GET", "/containers/others/json", described("running", "install-2"));
  const auto network = [](const char *action, const char *actor, const std::string &attributes) {
    return std::string(R"({"Type":"network","Action":")") + action + R"(","Actor":{"ID":")" + actor +
           R"(","Attributes":{)" + attributes + "}},\"time\":20}\n";
  };
  // Docker's actor is the network, Podman's the container.
  f.engine.on("GET", "/events",
              chunked(200, {network("disconnect", "n1", R"("container":"ended","name":"matrixos-net")"),
                            network("disconnect", "n1", R"("container":"others","name":"matrixos-net")"),
                            network("disconnect", "n1", R"("container":"gone","name":"matrixos-net")"),
                            network("connect", "n1", R"("container":"mine","name":"matrixos-net")"),
                            network("destroy", "n1", R"("name":"matrixos-net")"),
                            network("disconnect", "n1", R"("container":"mine","name":"matrixos-net")"),
                            network("disconnect", "mine", R"("network":"matrixos-net")")}));
  std::vector<std::string> names;
  failure([&] {
    f.runtime.events(kCall, R"({"matrixos.install-id":"install-1"})", [&](std::string_view item) {
      const auto event = json::parseObject(item);
      CHECK(event->getValue<std::string>("type") == "disconnected");
      CHECK(event->getValue<std::string>("ref") == "mine");
      names.push_back(event->getValue<std::string>("name"));
      return true;
    });
  });
  CHECK(names == std::vector<std::string>{"matrixos-alice", "matrixos-alice"});
}

TEST_CASE("statistics survive absurd figures") {
  Fixture f;
  f.engine.on("GET", "/containers/matrixos-alice/stats",
              answer(200, R"({"cpu_stats": {"cpu_usage": {"total_usage": 12345678901}}, "pids_stats": {"current": 3},
      "memory_stats": {"usage": 100, "limit": 18446744073709551615, "stats": {"total_inactive_file": 5000}},
      "networks": {"eth0": {"rx_bytes": 1, "tx_bytes": 2}, "eth1": {"rx_bytes": 10, "tx_bytes": -20}}})"));
  const auto stats = json::parseObject(f.runtime.stats(kCall, "matrixos-alice"));
  CHECK(stats->getValue<Poco::Int64>("cpuNanos") == 12345678901);
  CHECK(stats->getValue<Poco::Int64>("memoryBytes") == 0);
  CHECK(stats->getValue<Poco::Int64>("memoryLimitBytes") > 0);
  CHECK(stats->getValue<int>("networkRxBytes") == 11);
  CHECK(stats->getValue<int>("networkTxBytes") == 2);
}

TEST_CASE("the version spoken is agreed on") {
  Fixture f;
  const auto version = [&](const std::string &theirs, const std::string &oldest) {
    f.engine.on(
        "GET", "/version",
        answer(200, R"({"Version": "x", "ApiVersion": ")" + theirs + R"(", "MinAPIVersion": ")" + oldest + "\"}"));
    return f.runtime.version(kCall).api;
  };
  CHECK(version("1.41", "1.12") == "1.41");
  CHECK(version("1.50", "1.24") == "1.41");
  CHECK(version("1.53", "1.44") == "1.44");
  CHECK(version("1.40", "1.12") == "1.40");
  CHECK(failure([&] { version("1.30", "1.12"); }).reason() == "ENGINE_TOO_OLD");
  CHECK(failure([&] { version("2.0", "1.12"); }).reason() == MOS_REASON_ENGINE_REPLY);
  // Whoever answers after a restart is asked anew.
  version("1.53", "1.44");
  f.runtime.inspect(kCall, "matrixos-alice");
  CHECK(contains(f.engine.requests().back().head, "GET /v1.44/containers/matrixos-alice/json "));
}
