#include "Fixture.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <vector>

using namespace matrixos;
using namespace matrixos::test;

TEST_CASE("a provision answers 201 and the running instance, the same pair again 200") {
  Fixture f;
  const Answer first = f.provision("alice", "user_1");
  CHECK(first.status == 201);
  const auto instance = json::parseObject(first.body);
  CHECK(instance->getValue<std::string>("handle") == "alice");
  CHECK(instance->getValue<std::string>("clerkUserId") == "user_1");
  CHECK(instance->getValue<std::string>("status") == "running");
  CHECK(instance->getValue<int>("port") == 4001);
  CHECK(instance->getValue<int>("shellPort") == 3001);
  CHECK(instance->getValue<std::string>("containerId") == f.runtime.container("matrixos-alice")->ref);
  CHECK(instance->getArray("endpoints")->size() == 1);
  CHECK(f.runtime.container("matrixos-alice")->state == "running");

  const Answer again = f.provision("alice", "user_1");
  CHECK(again.status == 200);
  CHECK(json::parseObject(again.body)->getValue<std::string>("id") == instance->getValue<std::string>("id"));
  CHECK(f.runtime.calls("create") == 1);
  CHECK(f.rows("port_assignments") == 2);
  CHECK(f.host->topics() == std::vector<std::string>{"instance.progress", "instance.provisioned"});
}

TEST_CASE("the container's spec is the documented one") {
  Fixture f;
  REQUIRE(f.provision("alice", "user_1").status == 201);
  const auto spec = json::parseObject(f.runtime.container("matrixos-alice")->spec);
  CHECK(spec->getValue<std::string>("name") == "matrixos-alice");
  CHECK(spec->getValue<std::string>("image") == "ghcr.io/hamedmp/matrix-os:latest");
  CHECK(spec->getValue<std::int64_t>("memoryBytes") == 268435456);
  CHECK(spec->getValue<double>("cpus") == doctest::Approx(0.5));
  CHECK(spec->getValue<std::string>("restart") == "unless-stopped");
  CHECK(json::dump(spec->getArray("hostAliases")) == R"(["proxy"])");
  const auto env = spec->getObject("env");
  CHECK(env->getValue<std::string>("MATRIX_HANDLE") == "alice");
  CHECK(env->getValue<std::string>("PROXY_URL") == "http://proxy:8080");
  CHECK(env->getValue<std::string>("ANTHROPIC_BASE_URL") == "http://proxy:8080");
  CHECK(env->getValue<std::string>("PORT") == "4000");
  CHECK(env->getValue<std::string>("SHELL_PORT") == "3000");
  CHECK(env->getValue<std::string>("GATEWAY_EXTERNAL_URL") == "https://alice.example.test");
  const auto volume = spec->getArray("volumes")->getObject(0);
  CHECK(volume->getValue<std::string>("volume") == f.settings.usersDir + "/alice/matrixos");
  CHECK(volume->getValue<std::string>("path") == "/home/matrixos/home");
  const auto port = spec->getArray("ports")->getObject(0);
  CHECK(port->getValue<std::string>("hostAddress") == "127.0.0.1");
  CHECK(port->getValue<int>("containerPort") == 4000);
  CHECK(port->getValue<int>("hostPort") == 4001);
  const auto labels = spec->getObject("labels");
  for (const char *key : {MOS_LABEL_MANAGED, MOS_LABEL_INSTALL, MOS_LABEL_INSTANCE, MOS_LABEL_HANDLE,
                          MOS_LABEL_GENERATION, MOS_LABEL_SPEC_HASH, MOS_LABEL_OPERATION}) {
    CHECK_MESSAGE(!labels->getValue<std::string>(key).empty(), key);
  }
}

TEST_CASE("taken handles and users are 409, bad fields 400 with the field's name") {
  Fixture f;
  REQUIRE(f.provision("alice", "user_1").status == 201);
  CHECK(f.provision("alice", "user_2").status == 409);
  CHECK(f.provision("bobby", "user_1").status == 409);

  const auto post = [&](const std::string &body) { return f.host->request("POST", "/containers/provision", body); };
  CHECK(post("").status == 400);
  CHECK(post("[]").status == 400);
  CHECK(post(R"({"clerkUserId":"u"})").body.find("handle") != std::string::npos);
  CHECK(post(R"({"handle":"carol"})").body.find("clerkUserId") != std::string::npos);
  CHECK(post(R"({"handle":5,"clerkUserId":"u"})").status == 400);
  CHECK(post(R"({"handle":"carol","clerkUserId":""})").status == 400);
  CHECK(post(R"({"handle":"carol","clerkUserId":"a\u0007b"})").status == 400);
  CHECK(post(R"({"handle":"carol","clerkUserId":")" + std::string(129, 'u') + R"("})").status == 400);
  for (const char *handle : {"", "ab", "Alice", "-abc", "abc-", "a--b", "../../etc", "xn--abc", "www", "admin",
                             "abcdefghijklmnopqrstuvwxyz0123456789"}) {
    CAPTURE(handle);
    const Answer answer = f.provision(handle, "user_9");
    CHECK(answer.status == 400);
    CHECK(answer.body.find("handle") != std::string::npos);
  }
  CHECK(post(R"({"handle":"carol","clerkUserId":"user_3","extra":{"a":[1]}})").status == 201);
  CHECK(f.rows("containers") == 2);
}

TEST_CASE("an engine that fails at any step leaves nothing behind and is quoted") {
  for (const char *call : {"capabilities", "volume_ensure", "pull", "create", "start", "inspect"}) {
    for (const bool after : {false, true}) {
      CAPTURE(call);
      CAPTURE(after);
      Fixture f;
      REQUIRE(f.reconcile());
      REQUIRE(eventually([&] { return f.runtime.listens(); }));
      f.runtime.failNext(call, engineFault(after));
      const Answer answer = f.provision("alice", "user_1");
      CHECK(answer.status == 503);
      CHECK(answer.body.find("the engine burps") != std::string::npos);
      CHECK(f.isClean());
      CHECK(f.get("alice").status == 404);
      // The ports are free again, and nothing stands in the way of the next try.
      CHECK(f.provision("alice", "user_1").status == 201);
      CHECK(f.field("alice", "port") == "4001");
    }
  }
}

TEST_CASE("a database that fails at any write leaves nothing behind") {
  for (int nth = 1; nth <= 8; ++nth) {
    CAPTURE(nth);
    Fixture f;
    int writes = 0;
    f.host->onBatch([&](const std::string &) {
      if (++writes == nth) throw Error(Status::ResourceExhausted, "database or disk is full", "DISK_FULL");
    });
    const Answer answer = f.provision("alice", "user_1");
    f.host->onBatch(nullptr);
    if (writes < nth) {
      CHECK(answer.status == 201);
      CHECK(nth > 5); // every write of a whole provision was failed once
      return;
    }
    CHECK(answer.status == 503);
    REQUIRE(f.reconcile());
    CHECK(f.isClean());
    CHECK(f.provision("alice", "user_1").status == 201);
  }
  FAIL("the writes of a provision never came to an end");
}

TEST_CASE("a full disk that stays full is survived: what could not be undone is undone later") {
  Fixture f;
  bool full = false;
  f.host->onBatch([&](const std::string &) {
    if (full) throw Error(Status::ResourceExhausted, "database or disk is full", "DISK_FULL");
  });
  f.runtime.hold("create");
  const auto pending = f.host->send("POST", "/containers/provision", R"({"handle":"alice","clerkUserId":"user_1"})");
  REQUIRE(eventually([&] { return f.runtime.held("create") == 1; }));
  full = true;
  f.runtime.release("create");
  CHECK(f.host->answerTo(pending).status == 503);
  CHECK(f.rows("containers") == 1);
  CHECK(f.runtime.count() == 0);
  full = false;
  REQUIRE(f.reconcile()); // the row still says where the provision stood, so it is completed
  CHECK(f.field("alice", "status") == "running");
  CHECK(f.rows("port_assignments") == 2);
}

TEST_CASE("the volume of a provision that is undone is removed when it is empty, else it goes to the trash") {
  Fixture f;
  const auto failOnce = [&] {
    f.runtime.failNext("start", engineFault());
    CHECK(f.provision("alice", "user_1").status == 503);
    CHECK(f.isClean());
    CHECK(f.runtime.volumeRefs().empty());
  };
  const auto lines = [&] {
    const std::string log = f.host->log();
    std::size_t count = 0;
    for (std::size_t at = log.find("removes no empty volumes"); at != std::string::npos;
         at = log.find("removes no empty volumes", at + 1))
      ++count;
    return count;
  };
  SUBCASE("empty") {
    failOnce();
    CHECK(f.runtime.calls("volume_remove_if_empty") == 1);
    CHECK(f.runtime.trash().empty());
  }
  SUBCASE("not empty") {
    f.runtime.volumesHoldData = true;
    failOnce();
    CHECK(f.runtime.trash().size() == 1);
    CHECK(lines() == 0);
  }
  SUBCASE("a runtime that cannot tell: the log says so once") {
    f.runtime.removesVolumes = false;
    failOnce();
    failOnce();
    CHECK(f.runtime.trash().size() == 2);
    CHECK(lines() == 1);
  }
  SUBCASE("a removal that fails is tried again") {
    REQUIRE(f.reconcile());
    f.runtime.failNext("start", engineFault());
    f.runtime.failNext("volume_remove_if_empty", engineFault(true));
    CHECK(f.provision("alice", "user_1").status == 503);
    CHECK(f.field("alice", "status") == "deleting");
    REQUIRE(f.reconcile());
    CHECK(f.isClean());
    CHECK(f.runtime.trash().empty());
  }
}

TEST_CASE("an undo that fails is carried on by the reconciler") {
  Fixture f;
  REQUIRE(f.reconcile());
  f.runtime.failNext("start", engineFault());
  f.runtime.failAlways("remove", engineFault());
  CHECK(f.provision("alice", "user_1").status == 503);
  CHECK(f.field("alice", "status") == "deleting");
  CHECK(f.runtime.count() == 1);
  CHECK(f.provision("alice", "user_2").status == 409);
  REQUIRE(f.reconcile());
  CHECK(f.runtime.count() == 1);
  f.runtime.failAlways("remove", std::nullopt);
  REQUIRE(f.reconcile());
  CHECK(f.isClean());
  CHECK(f.provision("alice", "user_2").status == 201);
}

TEST_CASE("a deletion of an instance that never ran goes on as well, when it failed at first") {
  Fixture f;
  REQUIRE(f.reconcile());
  f.runtime.failNext("start", engineFault());
  f.runtime.failAlways("remove", engineFault());
  CHECK(f.provision("alice", "user_1").status == 503);
  CHECK(f.host->request("DELETE", "/containers/alice").status == 503);
  CHECK(f.field("alice", "status") == "deleting");
  f.runtime.failAlways("remove", std::nullopt);
  REQUIRE(f.reconcile());
  CHECK(f.rows("containers") == 0);
  CHECK(f.rows("port_assignments") == 0);
  CHECK(f.runtime.count() == 0);
  CHECK(f.provision("alice", "user_1").status == 201);
}

TEST_CASE("fifty handles at once get fifty instances and a hundred different ports") {
  Fixture f;
  std::vector<std::uint64_t> pending;
  for (int i = 0; i < 50; ++i) {
    const std::string n = std::to_string(i);
    pending.push_back(f.host->send("POST", "/containers/provision",
                                   R"({"handle":"user-)" + n + R"(x","clerkUserId":"u)" + n + R"("})"));
  }
  std::set<int> ports;
  for (const auto id : pending) {
    const Answer answer = f.host->answerTo(id);
    REQUIRE(answer.status == 201);
    ports.insert(json::parseObject(answer.body)->getValue<int>("port"));
    ports.insert(json::parseObject(answer.body)->getValue<int>("shellPort"));
  }
  CHECK(ports.size() == 100);
  CHECK(*ports.begin() == 3001);
  CHECK(*ports.rbegin() == 4050);
  CHECK(f.rows("port_assignments") == 100);
  CHECK(f.runtime.calls("pull") <= 50);
}

TEST_CASE("fifty requests for one handle make one instance: one 201, the rest 200") {
  Fixture f;
  f.runtime.hold("create");
  std::vector<std::uint64_t> pending;
  for (int i = 0; i < 50; ++i)
    pending.push_back(f.host->send("POST", "/containers/provision", R"({"handle":"alice","clerkUserId":"user_1"})"));
  REQUIRE(eventually([&] { return f.runtime.held("create") == 1; }));
  f.runtime.release("create");
  int created = 0;
  int existing = 0;
  for (const auto id : pending) {
    const Answer answer = f.host->answerTo(id);
    created += answer.status == 201 ? 1 : 0;
    existing += answer.status == 200 ? 1 : 0;
  }
  CHECK(created == 1);
  CHECK(existing == 49);
  CHECK(f.runtime.calls("create") == 1);
  CHECK(f.runtime.calls("start") == 1);
}

TEST_CASE("one user asking for two handles at once gets one of them") {
  Fixture f;
  const auto a = f.host->send("POST", "/containers/provision", R"({"handle":"alice","clerkUserId":"user_1"})");
  const auto b = f.host->send("POST", "/containers/provision", R"({"handle":"bobby","clerkUserId":"user_1"})");
  const std::multiset<std::uint32_t> statuses{f.host->answerTo(a).status, f.host->answerTo(b).status};
  CHECK(statuses == std::multiset<std::uint32_t>{201, 409});
  CHECK(f.rows("containers") == 1);
  CHECK(f.rows("port_assignments") == 2);
}

TEST_CASE("ports run out with 503 and come back with a destroy") {
  Fixture f(false);
  f.settings.portsPerRange = 2;
  f.start();
  CHECK(f.provision("alice", "u1").status == 201);
  CHECK(f.provision("bobby", "u2").status == 201);
  const Answer answer = f.provision("carol", "u3");
  CHECK(answer.status == 503);
  CHECK(answer.body.find("ports_per_range") != std::string::npos);
  CHECK(f.rows("containers") == 2);
  CHECK(f.host->request("DELETE", "/containers/alice").status == 200);
  CHECK(f.provision("carol", "u3").status == 201);
  CHECK(f.field("carol", "port") == "4001");
}

TEST_CASE("a stranger that holds a hundred ports of each range is got past") {
  Fixture f;
  for (int i = 0; i < 100; ++i) {
    f.runtime.occupy(4001 + i);
    f.runtime.occupy(3001 + i);
  }
  REQUIRE(f.provision("alice", "user_1").status == 201);
  CHECK(std::stoi(f.field("alice", "port")) >= 4101);
  CHECK(std::stoi(f.field("alice", "shellPort")) >= 3101);
  CHECK(f.rows("port_assignments") == 2);
  CHECK(f.runtime.count() == 1);
}

TEST_CASE("a port that a stranger holds is replaced by the next and recorded") {
  Fixture f;
  f.runtime.occupy(4001);
  f.runtime.occupy(3001);
  f.runtime.occupy(3002);
  const Answer answer = f.provision("alice", "user_1");
  REQUIRE(answer.status == 201);
  const int port = json::parseObject(answer.body)->getValue<int>("port");
  const int shell = json::parseObject(answer.body)->getValue<int>("shellPort");
  CHECK(port == 4002);
  CHECK(shell == 3003);
  CHECK(f.host->database().queryInt("SELECT COUNT(*) FROM port_assignments WHERE port IN (4002, 3003)") == 2);
  CHECK(f.rows("port_assignments") == 2);
  CHECK(f.runtime.container("matrixos-alice")->hostPorts == std::vector<int>{4002, 3003});
  CHECK(f.runtime.count() == 1);
  REQUIRE(f.provision("bobby", "user_2").status == 201);
  CHECK(f.field("bobby", "port") == "4003");
}

TEST_CASE("where a runtime does not say which port a stranger holds, both are replaced") {
  Fixture f;
  f.runtime.namesOccupied = false;
  f.runtime.occupy(4001);
  REQUIRE(f.provision("alice", "user_1").status == 201);
  CHECK(f.field("alice", "port") == "4002");
  CHECK(f.field("alice", "shellPort") == "3002");
  CHECK(f.rows("port_assignments") == 2);
}

TEST_CASE("the daemon's own listeners are skipped, and a runtime without host ports gets none") {
  Fixture f(false);
  f.settings.listenerPorts = {4001, 3002};
  f.start();
  CHECK(f.provision("alice", "u1").status == 201);
  CHECK(f.field("alice", "port") == "4002");
  CHECK(f.field("alice", "shellPort") == "3001");

  Fixture portless(false);
  portless.runtime.publishesPorts = false;
  portless.start();
  CHECK(portless.provision("alice", "u1").status == 201);
  CHECK(portless.field("alice", "port") == "0");
  CHECK(portless.rows("port_assignments") == 0);
}

TEST_CASE("a long pull shows its progress and holds nobody else up") {
  Fixture f(false);
  f.settings.concurrency = 1;
  f.start();
  f.runtime.hold("pull");
  const auto slow = f.host->send("POST", "/containers/provision", R"({"handle":"alice","clerkUserId":"user_1"})");
  REQUIRE(eventually([&] { return f.field("alice", "status") == "provisioning"; }));
  REQUIRE(eventually(
      [&] { return f.get("alice").body.find(R"("phase":"layers","current":5,"total":10)") != std::string::npos; }));
  CHECK(f.host->request("GET", "/containers").status == 200);
  // The only slot for operations is free: a destroy of nobody is answered, and so is a second provision's queue.
  CHECK(f.host->request("POST", "/containers/nobody/stop").status == 404);
  const auto second = f.host->send("POST", "/containers/provision", R"({"handle":"bobby","clerkUserId":"user_2"})");
  REQUIRE(eventually([&] { return f.field("bobby", "status") == "provisioning"; }));
  CHECK(f.runtime.calls("pull") == 1);
  f.runtime.release("pull");
  CHECK(f.host->answerTo(slow).status == 201);
  CHECK(f.host->answerTo(second).status == 201);
  CHECK(f.get("alice").body.find("progress") == std::string::npos);
}

TEST_CASE("a deletion does not wait for the pull of an image") {
  Fixture f;
  f.runtime.hold("pull");
  const auto pending = f.host->send("POST", "/containers/provision", R"({"handle":"alice","clerkUserId":"user_1"})");
  REQUIRE(eventually([&] { return f.runtime.held("pull") == 1; }));
  CHECK(f.host->request("DELETE", "/containers/alice").status == 200);
  CHECK(f.host->answerTo(pending).status == 503);
  CHECK(f.isClean());
  f.runtime.release("pull");
  CHECK(f.provision("alice", "user_1").status == 201);
}

TEST_CASE("a namesake of this installation gives way, a stranger's container stays") {
  Fixture f;
  f.runtime.addForeign("matrixos-alice", {{MOS_LABEL_INSTALL, f.settings.installId}, {MOS_LABEL_INSTANCE, "old"}});
  CHECK(f.provision("alice", "user_1").status == 201);
  CHECK(f.runtime.count() == 1);

  f.runtime.addForeign("matrixos-bobby", {});
  const Answer answer = f.provision("bobby", "user_2");
  CHECK(answer.status == 503);
  CHECK(answer.body.find("matrixos-bobby") != std::string::npos);
  CHECK(f.runtime.container("matrixos-bobby")->state == "running");
  CHECK(f.get("bobby").status == 404);
  CHECK(f.rows("containers") == 1);
}

TEST_CASE("whether a new user can have a handle, and why not") {
  Fixture f;
  f.host->setInfo(R"({"sites":["wiki"],"domain":"Matrix.Test","consoleHost":"start.matrix.test"})");
  REQUIRE(f.provision("alice", "user_1").status == 201);
  REQUIRE(f.provision("bob", "user_2").status == 201);
  REQUIRE(f.host->request("DELETE", "/containers/bob").status == 200);
  const auto check = [&](const std::string &handle) {
    return f.host->request("GET", "/containers/check-handle/" + handle).body;
  };
  CHECK(check("carol") == R"({"available":true})");
  CHECK(check("alice") == R"({"available":false,"reason":"taken"})");
  CHECK(check("bob") == R"({"available":false,"reason":"taken"})"); // kept for user_2
  CHECK(check("admin") == R"({"available":false,"reason":"reserved"})");
  CHECK(check("wiki") == R"({"available":false,"reason":"reserved"})");
  CHECK(check("start") == R"({"available":false,"reason":"reserved"})");
  for (const std::string handle : {"al", "Alice", "a--b", "-ab", "xn--abc", "abcdefghijklmnopqrstuvwxyz0123456789"})
    CHECK(check(handle) == R"({"available":false,"reason":"invalid"})");
  f.runtime.hold("create");
  const auto exchange = f.host->send("POST", "/containers/provision", R"({"handle":"dave","clerkUserId":"user_4"})");
  CHECK(check("dave") == R"({"available":false,"reason":"taken"})");
  f.runtime.release("create");
  CHECK(f.host->answerTo(exchange).status == 201);
}
