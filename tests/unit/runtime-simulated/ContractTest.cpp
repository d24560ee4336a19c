/// What abi/runtime.h promises, function by function.
#include "Rig.h"
#include "support/Wait.h"

#include <atomic>
#include <set>
#include <thread>

using namespace matrixos;
using namespace matrixos::simulated;
using namespace matrixos::simulated::test;

TEST_CASE("capabilities say what the configuration leaves it") {
  Rig rig;
  const auto all = json::parseObject(rig.client.capabilities(rig.call()));
  CHECK(json::getString(*all, "engine") == "simulated");
  CHECK(json::getString(*all, "isolation") == "simulated");
  CHECK(json::getBool(*all, "pause", false));
  CHECK_FALSE(json::getBool(*all, "publishesPorts", true));

  EngineOptions bare;
  bare.pause = bare.volumes = bare.stats = false;
  Rig poor(bare);
  const std::string ref = poor.started("matrixos-a");
  CHECK(ending([&] { poor.client.pause(poor.call(), ref); }) == "UNIMPLEMENTED UNIMPLEMENTED");
  CHECK(ending([&] { poor.client.stats(poor.call(), ref); }) == "UNIMPLEMENTED UNIMPLEMENTED");
  CHECK(ending([&] { poor.client.volumeEnsure(poor.call(), R"({"name":"a"})"); }) == "UNIMPLEMENTED UNIMPLEMENTED");
}

TEST_CASE("create: the first start to the last description") {
  Rig rig;
  rig.pull();
  const std::string ref = rig.create(R"({"name":"matrixos-a","image":"demo:1","labels":{"b":"2","a":"1"},
    "ports":[{"name":"gateway","containerPort":4000},{"name":"shell","containerPort":3000}]})");
  auto description = rig.inspect(ref);
  CHECK(json::getString(*description, "ref") == ref);
  CHECK(json::getString(*description, "name") == "matrixos-a");
  CHECK(json::getString(*description, "state") == "created");
  CHECK(json::getString(*description, "image") == "demo:1");
  CHECK(json::getString(*description, "imageDigest") == rig.engine.findImage("demo:1"));
  CHECK(json::getString(*json::findObject(*description, "labels"), "a") == "1");
  CHECK(json::findArray(*description, "endpoints")->size() == 0);
  CHECK(json::getInt(*description, "startedAt", -1) == 0);

  rig.client.start(rig.call(), ref);
  description = rig.inspect("matrixos-a"); // a name does as well as a ref
  CHECK(json::getString(*description, "state") == "running");
  const auto endpoints = json::findArray(*description, "endpoints");
  REQUIRE(endpoints->size() == 2);
  CHECK(json::getString(*endpoints->getObject(0), "address").rfind("127.6", 0) == 0);
  CHECK(json::getInt(*endpoints->getObject(0), "port", 0) == 4000);
  CHECK(json::getInt(*endpoints->getObject(1), "port", 0) == 3000);
  CHECK(json::dump(json::parse(rig.client.endpoints(rig.call(), ref))) == json::dump(json::Value(endpoints)));
}

TEST_CASE("a start that describes is one call, where start and inspect are two") {
  Rig rig;
  const std::string ref = rig.made("matrixos-a");
  const std::string description = rig.client.startDescribed(rig.call(), ref);
  const auto calls = json::parseObject(rig.runtime.countersJson());
  CHECK(json::getInt(*json::findObject(*calls, "start"), "calls", 0) == 1);
  CHECK_FALSE(calls->has("inspect"));
  CHECK(description == rig.client.inspect(rig.call(), ref));
  CHECK(json::getString(*json::parseObject(description), "state") == "running");
}

TEST_CASE("create is adopted by operation and by spec hash, and by nothing else") {
  Rig rig;
  rig.pull();
  const auto spec = [](const std::string &labels) {
    return R"({"name":"matrixos-a","image":"demo:1","labels":{)" + labels + "}}";
  };
  const std::string mine = R"("matrixos.install-id":"I","matrixos.operation-id":"op1","matrixos.spec-hash":"h1")";
  const std::string ref = rig.create(spec(mine), "op1/create");
  CHECK(rig.create(spec(mine), "op1/create") == ref);
  CHECK(rig.create(spec(R"("matrixos.install-id":"I","matrixos.operation-id":"op1","matrixos.spec-hash":"h2")")) ==
        ref);
  CHECK(rig.create(spec(R"("matrixos.install-id":"I","matrixos.operation-id":"op2","matrixos.spec-hash":"h1")")) ==
        ref);
  CHECK(rig.create(spec(R"("matrixos.install-id":"I")"), "op1/create") == ref);
  const auto refused = [&](const std::string &labels, const std::string &operation) {
    return ending([&] { rig.create(spec(labels), operation); });
  };
  const std::string inUse = "ALREADY_EXISTS NAME_IN_USE";
  CHECK(refused(R"("matrixos.install-id":"I","matrixos.operation-id":"op2","matrixos.spec-hash":"h2")", "x") == inUse);
  CHECK(refused(R"("matrixos.install-id":"J","matrixos.operation-id":"op1","matrixos.spec-hash":"h1")", "x") == inUse);
  CHECK(refused("", "") == inUse);
  CHECK(rig.list().size() == 1);
}

TEST_CASE("create refuses what makes no sense, by member") {
  Rig rig;
  rig.pull();
  const auto refused = [&](const std::string &spec) { return ending([&] { rig.client.create(rig.call(), spec); }); };
  CHECK(refused("") == "INVALID_ARGUMENT BAD_JSON");
  CHECK(refused("[]") == "INVALID_ARGUMENT BAD_JSON");
  CHECK(refused("{\"name\":") == "INVALID_ARGUMENT BAD_JSON");
  CHECK(refused(R"({"image":"demo:1"})") == "INVALID_ARGUMENT BAD_SPEC");
  CHECK(refused(R"({"name":"-a","image":"demo:1"})") == "INVALID_ARGUMENT BAD_SPEC");
  CHECK(refused(R"({"name":"a/../b","image":"demo:1"})") == "INVALID_ARGUMENT BAD_SPEC");
  CHECK(refused(R"({"name":"a","image":"demo:1","labels":{"k":1}})") == "INVALID_ARGUMENT BAD_SPEC");
  CHECK(refused(R"({"name":"a","image":"demo:1","ports":[{"name":"g"}]})") == "INVALID_ARGUMENT BAD_SPEC");
  CHECK(refused(R"({"name":"a","image":"demo:1","ports":[{"name":"g","containerPort":70000}]})") ==
        "INVALID_ARGUMENT BAD_SPEC");
  CHECK(refused(R"({"name":"a","image":"demo:1","restart":"maybe"})") == "INVALID_ARGUMENT BAD_SPEC");
  CHECK(refused(R"({"name":"a","image":"demo:1","env":{"A=B":"c"}})") == "INVALID_ARGUMENT BAD_SPEC");
  CHECK(refused(R"({"name":"a","image":"demo:1","ports":[{"name":"g","containerPort":1,"hostPort":2}]})") ==
        "INVALID_ARGUMENT BAD_SPEC");
  CHECK(refused(R"({"name":"a","image":"other:1"})") == "NOT_FOUND IMAGE_NOT_FOUND");
  CHECK(refused(R"({"name":"a","image":"demo:1","volumes":[{"volume":"/v","path":"/home"}]})") ==
        "NOT_FOUND VOLUME_NOT_FOUND");
  CHECK(rig.list().empty());
}

TEST_CASE("every call × every state gives what the contract says") {
  struct Row {
    const char *state, *start, *stop, *pause, *unpause, *remove, *force;
  };
  const std::string absent = "NOT_FOUND CONTAINER_NOT_FOUND", still = "FAILED_PRECONDITION NOT_RUNNING",
                    runs = "FAILED_PRECONDITION CONTAINER_RUNNING";
  const Row rows[] = {
      {"absent", absent.c_str(), "OK", absent.c_str(), absent.c_str(), "OK", "OK"},
      {"created", "OK", "OK", still.c_str(), still.c_str(), "OK", "OK"},
      {"running", "OK", "OK", "OK", "OK", runs.c_str(), "OK"},
      {"paused", "OK", "OK", "OK", "OK", runs.c_str(), "OK"},
      {"exited", "OK", "OK", still.c_str(), still.c_str(), "OK", "OK"},
  };
  const auto bring = [](Rig &rig, const std::string &state) {
    if (state == "absent") return std::string("matrixos-a");
    std::string ref = rig.made("matrixos-a");
    if (state != "created") rig.client.start(rig.call(), ref);
    if (state == "paused") rig.client.pause(rig.call(), ref);
    if (state == "exited") rig.client.stop(rig.call(), ref, std::chrono::seconds{1});
    return ref;
  };
  for (const Row &row : rows) {
    CAPTURE(row.state);
    const auto after = [&](auto act) {
      Rig rig;
      const std::string ref = bring(rig, row.state);
      const std::string first = ending([&] { act(rig, ref); });
      CHECK(ending([&] { act(rig, ref); }) == first); // again: the same, or already in the wanted state
      return first;
    };
    CHECK(after([](Rig &r, const std::string &ref) { r.client.start(r.call(), ref); }) == row.start);
    CHECK(after([](Rig &r, const std::string &ref) { r.client.stop(r.call(), ref, std::chrono::seconds{1}); }) ==
          row.stop);
    CHECK(after([](Rig &r, const std::string &ref) { r.client.pause(r.call(), ref); }) == row.pause);
    CHECK(after([](Rig &r, const std::string &ref) { r.client.unpause(r.call(), ref); }) == row.unpause);
    CHECK(after([](Rig &r, const std::string &ref) { r.client.remove(r.call(), ref, 0); }) == row.remove);
    CHECK(after([](Rig &r, const std::string &ref) { r.client.remove(r.call(), ref, MOS_REMOVE_FORCE); }) == row.force);
  }
}

TEST_CASE("the epoch changes with each start, the ref with each container") {
  Rig rig;
  const std::string ref = rig.started("matrixos-a");
  const auto epoch = [&] {
    return json::getString(*json::findArray(*rig.inspect("matrixos-a"), "endpoints")->getObject(0), "epoch");
  };
  std::set<std::string> epochs{epoch()};
  rig.client.pause(rig.call(), ref);
  rig.client.unpause(rig.call(), ref);
  CHECK(epochs.count(epoch()) == 1);
  rig.client.stop(rig.call(), ref, std::chrono::seconds{1});
  CHECK(rig.client.endpoints(rig.call(), ref) == "[]");
  rig.client.start(rig.call(), ref);
  CHECK(epochs.insert(epoch()).second);
  rig.client.remove(rig.call(), ref, MOS_REMOVE_FORCE);
  const std::string second = rig.started("matrixos-a");
  CHECK(second != ref);
  CHECK(epochs.insert(epoch()).second);
  CHECK(ending([&] { rig.client.inspect(rig.call(), ref); }) == "NOT_FOUND CONTAINER_NOT_FOUND");
}

TEST_CASE("a stop longer than its grace period is a kill") {
  Rig rig;
  Pace pace;
  pace.latency[indexOf(CallKind::Stop)] = Latency::parse("500ms");
  rig.runtime.setPace(pace);
  const std::string polite = rig.started("matrixos-a"), killed = rig.started("matrixos-b");
  rig.client.stop(rig.call(), polite, std::chrono::seconds{1});
  CHECK(json::getInt(*rig.inspect(polite), "exitCode", -1) == 0);
  rig.client.stop(rig.call(), killed, std::chrono::milliseconds{100});
  CHECK(json::getInt(*rig.inspect(killed), "exitCode", -1) == 137);
}

TEST_CASE("host ports: occupied is ABORTED with the number, free again after the stop") {
  EngineOptions options;
  options.ports = true;
  Rig rig(options);
  rig.pull();
  const auto spec = [](const char *name) {
    return std::string(R"({"name":")") + name +
           R"(","image":"demo:1","ports":[{"name":"gateway","containerPort":4000},
               {"name":"shell","containerPort":3000,"hostPort":3001,"hostAddress":"127.0.0.1"}]})";
  };
  const std::string a = rig.create(spec("matrixos-a")), b = rig.create(spec("matrixos-b"));
  rig.client.start(rig.call(), a);
  const auto endpoints = json::findArray(*rig.inspect(a), "endpoints");
  REQUIRE(endpoints->size() == 3);
  CHECK(json::getString(*endpoints->getObject(2), "scope") == "host");
  CHECK(json::getString(*endpoints->getObject(2), "name") == "shell");
  CHECK(json::getInt(*endpoints->getObject(2), "port", 0) == 3001);
  CHECK(ending([&] { rig.client.start(rig.call(), b); }) == "ABORTED PORT_IN_USE");
  CHECK(rig.state(b) == "created");
  CHECK(json::findArray(*rig.inspect(b), "occupiedPorts")->getElement<int>(0) == 3001);
  rig.client.stop(rig.call(), a, std::chrono::seconds{1});
  CHECK(json::findArray(*rig.inspect(b), "occupiedPorts")->size() == 0);
  rig.engine.occupyPorts({3001});
  CHECK(ending([&] { rig.client.start(rig.call(), b); }) == "ABORTED PORT_IN_USE");
  rig.engine.occupyPorts({});
  CHECK(ending([&] { rig.client.start(rig.call(), b); }) == "OK");
}

TEST_CASE("addresses: none twice at a time, an error when all are taken") {
  EngineOptions options;
  options.addresses = "192.0.2.0/29"; // six
  Rig rig(options);
  std::set<std::string> addresses;
  for (int i = 0; i < 6; ++i) {
    const std::string ref = rig.started("matrixos-" + std::to_string(i));
    addresses.insert(json::getString(*json::findArray(*rig.inspect(ref), "endpoints")->getObject(0), "address"));
  }
  CHECK(addresses.size() == 6);
  const std::string more = rig.made("matrixos-more");
  CHECK(ending([&] { rig.client.start(rig.call(), more); }) == "RESOURCE_EXHAUSTED NO_ADDRESS");
  rig.client.stop(rig.call(), "matrixos-3", std::chrono::seconds{1});
  CHECK(ending([&] { rig.client.start(rig.call(), more); }) == "OK");
}

TEST_CASE("backend: all endpoints lead there") {
  EngineOptions options;
  options.backend = "127.0.0.1:8080";
  Rig rig(options);
  const auto endpoint = json::findArray(*rig.inspect(rig.started("matrixos-a")), "endpoints")->getObject(0);
  CHECK(json::getString(*endpoint, "address") == "127.0.0.1");
  CHECK(json::getInt(*endpoint, "port", 0) == 8080);
  CHECK(json::getString(*endpoint, "scope") == "host");
  CHECK(json::getString(*endpoint, "name") == "gateway");
}

TEST_CASE("list: in order of creation, by all labels, complete over many pages, stopped by the sink") {
  Rig rig;
  for (int i = 0; i < 700; ++i)
    rig.made("matrixos-" + std::to_string(i));
  const auto all = rig.list();
  REQUIRE(all.size() == 700);
  CHECK(all.front() == "matrixos-0");
  CHECK(all.back() == "matrixos-699");
  CHECK(rig.list(R"({"owner":"t"})") == all);
  CHECK(rig.list(R"({"owner":"t","who":"matrixos-7"})") == std::vector<std::string>{"matrixos-7"});
  CHECK(rig.list(R"({"owner":"nobody"})").empty());
  CHECK(rig.list(R"({"nothing":"t"})").empty());
  rig.client.remove(rig.call(), "matrixos-7", 0);
  CHECK(rig.list(R"({"who":"matrixos-7"})").empty());
  rig.made("matrixos-7");
  CHECK(rig.list(R"({"who":"matrixos-7"})").size() == 1);
  CHECK(rig.list().back() == "matrixos-7");
  int seen = 0;
  rig.client.list(rig.call(), "{}", [&](std::string_view) { return ++seen < 3; });
  CHECK(seen == 3);
  CHECK(ending([&] { rig.list("[]"); }) == "INVALID_ARGUMENT BAD_JSON");
}

TEST_CASE("pull: policies, progress, cancellation by the sink, digests that change with the registry's image") {
  EngineOptions options;
  options.registry = {"demo:*"};
  Rig rig(options);
  Pace pace;
  pace.latency[indexOf(CallKind::Pull)] = Latency::parse("1s");
  pace.imageBytes = 1001;
  rig.runtime.setPace(pace);
  const auto pull = [&](const std::string &image, const std::string &policy, int stopAfter = 1000) {
    std::vector<std::int64_t> seen;
    std::string digest;
    const std::string end = ending([&] {
      const std::string answer = rig.client.pull(
          rig.call(), R"({"image":")" + image + R"(","policy":")" + policy + R"("})", [&](std::string_view item) {
            const auto object = json::parseObject(item);
            CHECK(json::getInt(*object, "total", 0) == 1001);
            seen.push_back(json::getInt(*object, "current", -1));
            return static_cast<int>(seen.size()) < stopAfter;
          });
      digest = json::getString(*json::parseObject(answer), "digest");
    });
    return std::tuple(end, digest, seen);
  };
  CHECK(std::get<0>(pull("demo:1", "never")) == "NOT_FOUND IMAGE_NOT_FOUND");
  CHECK(std::get<0>(pull("demo:1", "sometimes")) == "INVALID_ARGUMENT BAD_FIELD");
  CHECK(std::get<0>(pull("other:1", "missing")) == "NOT_FOUND IMAGE_NOT_FOUND");
  CHECK(std::get<0>(pull("demo:1", "missing", 2)) == "CANCELLED");
  CHECK_FALSE(rig.engine.findImage("demo:1"));
  EngineOptions loaded;
  loaded.images = {"demo:1"};
  loaded.registry = {"nothing"};
  CHECK(Rig(loaded).engine.findImage("demo:1") == rig.engine.registryDigest("demo:1"));
  const auto [end, digest, seen] = pull("demo:1", "missing");
  CHECK(end == "OK");
  CHECK(digest.size() == 71);
  CHECK(seen == std::vector<std::int64_t>{0, 200, 400, 600, 800, 1001});
  CHECK(std::get<2>(pull("demo:1", "missing")).empty());
  CHECK(std::get<1>(pull("demo:1", "never")) == digest);
  CHECK(std::get<1>(pull("demo:1", "always")) == digest);
  rig.engine.publishImage("demo:1");
  CHECK(std::get<1>(pull("demo:1", "missing")) == digest);
  CHECK(std::get<1>(pull("demo:1", "always")) != digest);
}

TEST_CASE("volumes: made once, said again to their maker, moved and copied with their data") {
  Rig rig;
  const auto ensure = [&](const std::string &request, const std::string &operation) {
    const auto answer = json::parseObject(rig.client.volumeEnsure(rig.call(operation), request));
    return json::getString(*answer, "volume") + (json::getBool(*answer, "created", false) ? " new" : " old");
  };
  const std::string alice = R"({"name":"alice","hostPath":"/data/users/alice/matrixos"})";
  CHECK(ensure(alice, "op1") == "/data/users/alice/matrixos new");
  CHECK(ensure(alice, "op1") == "/data/users/alice/matrixos new");
  CHECK(ensure(alice, "op2") == "/data/users/alice/matrixos old");
  CHECK(ensure(R"({"name":"bob"})", "") == "bob new");
  CHECK(ending([&] { ensure(R"({"hostPath":"relative"})", ""); }) == "INVALID_ARGUMENT BAD_VOLUME");
  const std::string ref = "/data/users/alice/matrixos";
  CHECK(ending([&] { rig.client.volumeSnapshot(rig.call(), "nobody", "s1"); }) == "NOT_FOUND VOLUME_NOT_FOUND");
  CHECK(ending([&] { rig.client.volumeSnapshot(rig.call(), ref, "s1"); }) == "OK");
  CHECK(ending([&] { rig.client.volumeSnapshot(rig.call(), ref, "s1"); }) == "OK");
  CHECK(ending([&] { rig.client.volumeTrash(rig.call(), ref, "../x"); }) == "INVALID_ARGUMENT BAD_VOLUME");
  CHECK(ending([&] { rig.client.volumeTrash(rig.call(), ref, "t1"); }) == "OK");
  CHECK(ending([&] { rig.client.volumeTrash(rig.call(), ref, "t1"); }) == "OK");
  CHECK(ensure(alice, "op3") == ref + " new");
  CHECK(ending([&] { rig.client.volumeTrash(rig.call(), ref, "t1"); }) == "OK");
  const auto trash = json::findObject(*json::parseObject(rig.engine.summary()), "trash");
  CHECK(trash->size() == 2); // nothing in the trash is overwritten
  CHECK(json::getString(*trash, "t1") == ref);
  CHECK(json::getString(*trash, "t1.2") == ref);

  CHECK(ending([&] { rig.client.volumeRemoveIfEmpty(rig.call(), "bob"); }) == "OK");
  CHECK(ending([&] { rig.client.volumeRemoveIfEmpty(rig.call(), "bob"); }) == "OK");
  CHECK(ensure(R"({"name":"bob"})", "") == "bob new");
}

TEST_CASE("networks come with the first that needs them and go with the last") {
  Rig rig;
  rig.pull();
  const auto networks = [&] { return json::findObject(*json::parseObject(rig.engine.summary()), "networks")->size(); };
  const std::string a = rig.create(R"({"name":"a1","image":"demo:1","networks":[{"name":"net"},{"name":"own-a"}]})");
  const std::string b = rig.create(R"({"name":"b1","image":"demo:1","networks":[{"name":"net"}]})");
  CHECK(networks() == 2);
  rig.client.remove(rig.call(), a, 0);
  CHECK(networks() == 2);
  rig.client.remove(rig.call(), a, MOS_REMOVE_UNUSED_NETWORKS);
  CHECK(networks() == 1);
  rig.client.remove(rig.call(), b, MOS_REMOVE_UNUSED_NETWORKS);
  CHECK(networks() == 0);
}

TEST_CASE("what ends by itself starts again as its restart policy says") {
  Rig rig;
  rig.pull();
  const auto endsAs = [&](const std::string &policy, int code) {
    const std::string ref = rig.create(R"({"name":"r1","image":"demo:1","restart":")" + policy + R"("})");
    rig.client.start(rig.call(), ref);
    rig.engine.die(ref, code, false);
    std::string state = rig.state(ref) + " " + std::to_string(json::getInt(*rig.inspect(ref), "exitCode", -1));
    rig.client.remove(rig.call(), ref, MOS_REMOVE_FORCE);
    return state;
  };
  CHECK(endsAs("no", 3) == "exited 3");
  CHECK(endsAs("on-failure", 0) == "exited 0");
  CHECK(endsAs("on-failure", 3) == "running 0");
  CHECK(endsAs("always", 0) == "running 0");
  CHECK(endsAs("unless-stopped", 3) == "running 0");

  const std::string ref = rig.started("matrixos-a");
  rig.engine.die(ref, 137, true);
  CHECK(json::getBool(*rig.inspect(ref), "oomKilled", false));
  CHECK(json::getInt(*rig.inspect(ref), "exitCode", 0) == 137);
  CHECK(ending([&] { rig.engine.die(ref, 1, false); }) == "FAILED_PRECONDITION NOT_RUNNING");
  rig.client.start(rig.call(), ref);
  CHECK_FALSE(json::getBool(*rig.inspect(ref), "oomKilled", true));
}

TEST_CASE("health: none without checks, else starting, healthy, and what it is told") {
  Rig plain;
  CHECK(json::getString(*plain.inspect(plain.started("matrixos-a")), "health") == "none");
  EngineOptions options;
  options.health = true;
  options.healthDelay = std::chrono::seconds{2};
  Rig rig(options);
  const std::string ref = rig.started("matrixos-a");
  const auto health = [&] { return json::getString(*rig.inspect(ref), "health"); };
  CHECK(health() == "starting");
  rig.clock.advance(std::chrono::milliseconds{1999});
  CHECK(health() == "starting");
  rig.clock.advance(std::chrono::milliseconds{1});
  CHECK(health() == "healthy");
  rig.engine.setHealth(ref, Health::Unhealthy);
  CHECK(health() == "unhealthy");
  rig.client.stop(rig.call(), ref, std::chrono::seconds{1});
  CHECK(health() == "none");
  rig.client.start(rig.call(), ref);
  CHECK(health() == "starting");
}

TEST_CASE("stats: grow with the time it runs, nothing when it does not") {
  Rig rig;
  const std::string ref = rig.made("matrixos-a");
  const auto stats = [&](const char *key) {
    return json::getInt(*json::parseObject(rig.client.stats(rig.call(), ref)), key, -1);
  };
  CHECK(stats("memoryBytes") == 0);
  CHECK(stats("pids") == 0);
  rig.client.start(rig.call(), ref);
  CHECK(stats("cpuNanos") == 0);
  CHECK(stats("memoryBytes") > 0);
  rig.clock.advance(std::chrono::seconds{10});
  CHECK(stats("cpuNanos") > 0);
  CHECK(stats("networkRxBytes") > 0);
}

TEST_CASE("logs: the last lines, and what follows until it ends") {
  Rig rig;
  const std::string ref = rig.started("matrixos-a");
  const auto lines = [&](const std::string &options) {
    std::vector<std::string> all;
    rig.client.logs(rig.call(), ref, options, [&](std::string_view line) {
      all.push_back(json::getString(*json::parseObject(line), "line"));
      return true;
    });
    return all;
  };
  CHECK(lines("{}") == std::vector<std::string>{"matrixos-a: start 1 of demo:1", "gateway listens on 4000"});
  CHECK(lines(R"({"tail":1})") == std::vector<std::string>{"gateway listens on 4000"});
  CHECK(lines(R"({"tail":0})").empty());
  CHECK(ending([&] { rig.client.logs(rig.call(), "nobody", "{}", [](std::string_view) { return true; }); }) ==
        "NOT_FOUND CONTAINER_NOT_FOUND");

  std::atomic<bool> heard{false};
  std::vector<std::string> followed;
  std::thread reader([&] {
    CallScope scope(std::chrono::seconds{60});
    rig.client.logs(scope.abi(), ref, R"({"follow":true})", [&](std::string_view line) {
      followed.push_back(json::getString(*json::parseObject(line), "line"));
      heard = true;
      return true;
    });
  });
  REQUIRE(matrixos::test::eventually([&] { return heard.load(); }));
  rig.engine.die(ref, 3, false);
  reader.join();
  CHECK(followed.size() == 3);
  CHECK(followed.back() == "ended with exit code 3");
  CHECK(lines("{}").back() == "ended with exit code 3");
  CHECK(lines(R"({"follow":true})").size() == 3); // what has ended has nothing to follow
}
