/// What an operator sees of the platform on the simulated engine.
#include "SimulatedPlatform.h"

#include <sstream>

using namespace matrixos;
using namespace matrixos::test;

TEST_CASE("provision, list, stop, start and destroy, row by row and container by container") {
  SimulatedPlatform platform;
  const Response made = platform.provision("alice");
  INFO(made.body);
  REQUIRE(made.status == 201);
  CHECK(member(made.body, "status") == "running");
  CHECK(member(made.body, "containerId").rfind("sim", 0) == 0);
  CHECK(platform.provision("alice").status == 200);
  REQUIRE(platform.provision("bob").status == 201);
  using States = std::map<std::string, std::string>;
  CHECK(platform.containers() == States{{"matrixos-alice", "running"}, {"matrixos-bob", "running"}});
  CHECK(platform.rows() == platform.containers());
  CHECK(platform.volumes() == 2);

  CHECK(platform.daemon.api("POST", "/containers/alice/stop").status == 200);
  CHECK(platform.containers().at("matrixos-alice") == "exited");
  CHECK(platform.rows().at("matrixos-alice") == "stopped");
  CHECK(platform.daemon.api("POST", "/containers/alice/start").status == 200);
  CHECK(platform.rows() == platform.containers());
  CHECK(platform.daemon.api("DELETE", "/containers/alice").status == 200);
  CHECK(platform.containers() == States{{"matrixos-bob", "running"}});
  CHECK(platform.rows() == platform.containers());
  CHECK(platform.volumes() == 1);

  // Each call is counted, in the report and in the metrics.
  CHECK(platform.state("calls", "create", "calls") == 2);
  const std::string metrics = platform.daemon.api("GET", "/metrics").body;
  CHECK(metrics.find("matrixos_simulated_calls_total{call=\"create\",outcome=\"ok\"} 2") != std::string::npos);
  CHECK(metrics.find("matrixos_simulated_instances{state=\"running\"} 1") != std::string::npos);
}

TEST_CASE("kill -9 and again: the engine outlives the daemon, rows and containers are one to one") {
  SimulatedPlatform platform;
  for (int i = 0; i < 12; ++i)
    REQUIRE(platform.provision("user" + std::to_string(i)).status == 201);
  for (int i = 0; i < 4; ++i)
    CHECK(platform.daemon.api("POST", "/containers/user" + std::to_string(i) + "/stop").status == 200);
  CHECK(platform.daemon.api("DELETE", "/containers/user11").status == 200);
  const auto containers = platform.containers();
  const auto rows = platform.rows();
  const std::string list = platform.control("GET", "instances").body;
  for (int round = 0; round < 2; ++round) {
    platform.daemon.kill();
    platform.daemon.start();
    CHECK(platform.control("GET", "instances").body == list);
    CHECK(platform.rows() == rows);
  }
  CHECK(containers.size() == 11);
  for (const auto &[name, state] : containers)
    CHECK(rows.at(name) == (state == "exited" ? "stopped" : state));
}

TEST_CASE("what happens behind the platform's back is noticed") {
  SimulatedPlatform platform;
  REQUIRE(platform.provision("alice").status == 201);
  REQUIRE(eventually(
      [&] { return json::getInt(*json::parseObject(platform.control("GET", "state").body), "listeners", 0) == 1; }));

  platform.control("POST", "instances/matrixos-alice/die", R"({"exitCode":3,"restart":false})");
  CHECK(eventually([&] { return platform.rows().at("matrixos-alice") != "running"; }));
  CHECK(platform.daemon.api("POST", "/containers/alice/start").status == 200);
  CHECK(platform.containers().at("matrixos-alice") == "running");

  platform.control("POST", "instances/matrixos-alice/vanish");
  CHECK(platform.containers().empty());
  CHECK(
      eventually([&] { return platform.rows().at("matrixos-alice") != "running" || !platform.containers().empty(); }));
  CHECK(platform.daemon.api("POST", "/containers/alice/start").status == 200);
  CHECK(platform.rows() == platform.containers());

  // Its restart policy brings it back by itself: the same container, another epoch.
  const std::string before = platform.control("GET", "instances/matrixos-alice").body;
  platform.control("POST", "instances/matrixos-alice/oom");
  const std::string after = platform.control("GET", "instances/matrixos-alice").body;
  CHECK(member(before, "ref") == member(after, "ref"));
  CHECK(member(after, "state") == "running");
  CHECK(before != after);
}

TEST_CASE("many containers of one spec; what nobody has a row for is left alone until it is surely an orphan") {
  SimulatedPlatform platform;
  platform.control("POST", "images", R"({"add":["demo:1"]})");
  platform.control("POST", "instances",
                   R"({"count":1200,"start":true,"spec":{"name":"many-{n}","image":"demo:1","labels":{"who":"{n}"}}})");
  CHECK(platform.containers().size() == 1200);
  CHECK(platform.containers().at("many-000007") == "running");
  CHECK(platform.state("engine", "instances", "running") == 1200);
  CHECK(platform.daemon.api("POST", "/simulated/instances", R"({"count":0})").status == 400);
  CHECK(platform.daemon.api("POST", "/simulated/instances", R"({"count":1,"spec":{"name":"-"}})").status == 400);
}

TEST_CASE("backend: the proxy forwards to a real server, and a visit wakes the simulated instance") {
  const std::uint16_t gateway = freePort();
  const TempDir dir;
  Process demo({DEMO_INSTANCE}, dir / "log",
               {"PORT=" + std::to_string(gateway), "SHELL_PORT=" + std::to_string(freePort()),
                "MATRIX_HOME=" + (dir / "home").string(), "HOME=" + (dir / "home").string(), "MATRIX_HANDLE=alice"});
  SimulatedPlatform platform(
      DaemonProcess::Values{{"runtime-simulated.backend", "127.0.0.1:" + std::to_string(gateway)}});
  REQUIRE(platform.provision("alice").status == 201);
  REQUIRE(eventually([&] { return platform.daemon.web("alice.localhost", "/api/health").status == 200; }));
  CHECK(platform.daemon.api("POST", "/containers/alice/stop").status == 200);
  CHECK(platform.containers().at("matrixos-alice") == "exited");
  CHECK(platform.daemon.web("alice.localhost", "/api/health").status == 200);
  CHECK(platform.containers().at("matrixos-alice") == "running");
}

TEST_CASE("without control there are no routes, and with it they are the administrator's") {
  SimulatedPlatform closed(DaemonProcess::Values{{"runtime-simulated.control", "false"}});
  CHECK(closed.daemon.api("GET", "/simulated/state").status == 404);
  closed.daemon.stop();
  SimulatedPlatform open(DaemonProcess::Values{{"api.auth", "secret"}});
  CHECK(request(open.daemon.apiSocket(), "GET", "/simulated/state").status == 401);
  CHECK(open.daemon.api("GET", "/simulated/state").status == 200);
}

TEST_CASE("the page's control requests do what the page says") {
  SimulatedPlatform platform;
  REQUIRE(platform.provision("alice").status == 201);
  std::istringstream page(readFile(SIMULATED_README));
  bool inside = false;
  int ran = 0;
  for (std::string line; std::getline(page, line);) {
    if (line.rfind("```", 0) == 0) inside = line == "```http";
    if (!inside || line.rfind("```", 0) == 0) continue;
    std::istringstream words(line);
    std::string method, target, body;
    words >> method >> target;
    std::getline(words, body);
    CAPTURE(line);
    const Response answer = platform.daemon.api(method, target, body);
    CAPTURE(answer.body);
    CHECK(answer.status == 200);
    ++ran;
  }
  CHECK(ran >= 4);
  // The rule that the page gives is in force.
  CHECK(platform.daemon.api("POST", "/containers/alice/stop").status == 200);
  CHECK(platform.daemon.api("POST", "/containers/alice/start").status == 503);
}

TEST_CASE("a configuration that makes no sense is said by key") {
  const auto problem = [](const std::string &key, const std::string &value) {
    DaemonProcess daemon(
        DaemonProcess::Values{{"plugins.enabled", "runtime-simulated"}, {"runtime-simulated." + key, value}});
    daemon.start();
    return daemon.api("GET", "/ready").body;
  };
  CHECK(problem("faults", "creat internal").find("[runtime-simulated] faults: fault rule: there is no call") !=
        std::string::npos);
  CHECK(problem("start_latency", "soon").find("[runtime-simulated] start_latency") != std::string::npos);
  CHECK(problem("features", "flying").find("[runtime-simulated] features") != std::string::npos);
  CHECK(problem("addresses", "everywhere").find("[runtime-simulated] addresses") != std::string::npos);
  CHECK(problem("addresses", "198.18.0.0/15").find("[runtime-simulated] addresses") != std::string::npos);
  CHECK(problem("backend", "nowhere").find("[runtime-simulated] backend") != std::string::npos);
  CHECK(problem("backend", "203.0.113.7:80").find("[runtime-simulated] backend") != std::string::npos);
}
