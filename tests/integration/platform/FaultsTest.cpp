// What is missing or broken around the daemon: it starts or goes on, and says precisely what is wrong.
#include "Engine.h"
#include "support/DaemonProcess.h"
#include "support/Text.h"
#include "support/Wait.h"

#include <doctest/doctest.h>

#include <set>
#include <thread>

using namespace matrixos;
using namespace matrixos::test;

namespace {

constexpr const char *kAlice = R"({"handle":"alice-fault","clerkUserId":"user_1"})";

} // namespace

TEST_CASE("no engine: the daemon serves, /ready and the answer say why") {
  DaemonProcess daemon(DaemonProcess::Values{{"runtime-docker.endpoint", "unix:/tmp/there-is-no-engine.sock"}});
  daemon.start();
  checkHas(daemon.api("GET", "/ready").body, "/tmp/there-is-no-engine.sock");
  const Response answer = daemon.api("POST", "/containers/provision", kAlice);
  CHECK(answer.status == 503);
  checkHas(answer.body, "/tmp/there-is-no-engine.sock");
  CHECK(answer.headers.at("content-type") == "application/problem+json");
  CHECK(daemon.api("GET", "/containers").body == "[]");
  checkHas(daemon.log(), "/tmp/there-is-no-engine.sock");
}

TEST_CASE("an image that is not there: 503 with advice, nothing stays" * doctest::skip(!engineAnswers())) {
  DaemonProcess daemon(DaemonProcess::Values{{"orchestrator.image", "127.0.0.1:1/nobody/has-this:latest"}});
  daemon.start();
  const std::string handle = uniqueHandle("noimg");
  const Response answer =
      daemon.api("POST", "/containers/provision", R"({"handle":")" + handle + R"(","clerkUserId":"user_1"})");
  CHECK(answer.status == 503);
  checkHas(answer.body, "127.0.0.1:1/nobody/has-this");
  CHECK(daemon.api("GET", "/containers").body == "[]");
  CHECK_FALSE(containerExists(handle));
  CHECK(daemon.api("GET", "/containers/" + handle).status == 404);
}

TEST_CASE("a port of the range is taken by somebody else: the next one is used" * doctest::skip(!engineAnswers())) {
  DaemonProcess daemon(DaemonProcess::Values{{"orchestrator.gateway_base_port", "38001"},
                                             {"orchestrator.shell_base_port", "37001"},
                                             {"orchestrator.ports_per_range", "50"}});
  daemon.start();
  const LoopbackPort squatter(38001);
  squatter.listen();
  const std::string handle = uniqueHandle("port");
  const Response answer =
      daemon.api("POST", "/containers/provision", R"({"handle":")" + handle + R"(","clerkUserId":"user_1"})");
  INFO(answer.body);
  CHECK(answer.status == 201);
  CHECK(member(answer.body, "port") != "38001");
  CHECK(inspect(handle, "{{.State.Running}}") == "true");
  CHECK(daemon.api("DELETE", "/containers/" + handle).status == 200);
}

TEST_CASE("a second daemon on the same data, and a taken listener, are named") {
  DaemonProcess daemon(DaemonProcess::Values{{"runtime-docker.endpoint", "unix:/tmp/there-is-no-engine.sock"}});
  daemon.start();
  const Finished second = run({(buildDir() / "bin/matrixosd").string(), "--config=" + daemon.configFile().string()});
  CHECK(second.status == 69);
  checkHas(second.out, std::to_string(daemon.process().pid()));

  const TempDir other;
  DaemonProcess third(DaemonProcess::Values{{"proxy.listen", "127.0.0.1:" + std::to_string(daemon.proxyPort())},
                                            {"plugins.required", ""},
                                            {"runtime-docker.endpoint", "unix:/tmp/there-is-no-engine.sock"}});
  third.start();
  const std::string ready = third.api("GET", "/ready").body;
  checkHas(ready, std::to_string(daemon.proxyPort()));
  checkHas(ready, "it does not run, and is tried again");
}

TEST_CASE("a database that somebody else has locked: 503 in time, and well again afterwards" *
          doctest::skip(!engineAnswers())) {
  DaemonProcess daemon;
  daemon.start();
  const std::string handle = uniqueHandle("lock");
  const std::string body = R"({"handle":")" + handle + R"(","clerkUserId":"user_1"})";
  {
    const TempDir dir;
    writeFile(dir / "sql", "BEGIN EXCLUSIVE;\n.shell touch " + (dir / "locked").string() + "; sleep 30\n");
    // Killed with its object, and the lock goes with it: hence sqlite3 itself must be that process, not a shell.
    Process locker(
        {"sh", "-c", "exec sqlite3 " + (daemon.dir() / "data/matrixos.db").string() + " < " + (dir / "sql").string()},
        dir / "log");
    REQUIRE(eventually([&] { return std::filesystem::exists(dir / "locked"); }));
    const Response answer = daemon.api("POST", "/containers/provision", body);
    CHECK(answer.status == 503);
    checkHas(answer.body, "matrixos.db locked");
    CHECK(daemon.api("GET", "/health").status == 200);
  }
  Response answer;
  const auto provisioned = [&] {
    answer = daemon.api("POST", "/containers/provision", body);
    return answer.status / 100 == 2;
  };
  const bool well = eventually(provisioned);
  CAPTURE(answer.body);
  CHECK(well);
  CHECK(daemon.api("DELETE", "/containers/" + handle).status == 200);
}

TEST_CASE("killed in the middle of sign-ups: the next start completes or undoes each" *
          doctest::skip(!engineAnswers())) {
  DaemonProcess daemon;
  daemon.start();
  const std::string prefix = uniqueHandle("kill");
  std::vector<std::thread> people;
  for (int i = 0; i < 8; ++i) {
    people.emplace_back([&, i] {
      try {
        daemon.api("POST", "/containers/provision",
                   R"({"handle":")" + prefix + std::to_string(i) + R"(","clerkUserId":"user_)" + std::to_string(i) +
                       R"("})");
      } catch (const std::exception &) {
        // The daemon dies under this call; what became of it is looked at below.
      }
    });
  }
  REQUIRE(eventually([&] { return !docker({"ps", "-aq", "--filter", "name=matrixos-" + prefix}).empty(); }));
  daemon.kill();
  for (auto &person : people)
    person.join();

  daemon.start();
  const auto settled = [&] {
    const auto list = json::parse(daemon.api("GET", "/containers").body).extract<json::Array::Ptr>();
    for (unsigned i = 0; i < list->size(); ++i) {
      if (list->getObject(i)->getValue<std::string>("status") == "provisioning") return false;
    }
    const std::string containers = docker({"ps", "-aq", "--filter", "name=matrixos-" + prefix});
    return (containers.size() + 1) / 13 == list->size();
  };
  CHECK(eventually(settled, std::chrono::seconds{90}));
  const auto list = json::parse(daemon.api("GET", "/containers").body).extract<json::Array::Ptr>();
  for (unsigned i = 0; i < list->size(); ++i) {
    CHECK(daemon.api("DELETE", "/containers/" + list->getObject(i)->getValue<std::string>("handle")).status == 200);
  }
  CHECK(docker({"ps", "-aq", "--filter", "name=matrixos-" + prefix}).empty());
}
