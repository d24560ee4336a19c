/// Every engine call × every fault, seen through the API: the documented status, and nothing is left behind.
#include "SimulatedPlatform.h"

#include <thread>
#include <vector>

using namespace matrixos;
using namespace matrixos::test;

namespace {

std::string rule(const std::string &call, const std::string &effect, const std::string &more = R"("times":1)") {
  return R"({"call":")" + call + R"(","effect":")" + effect + "\"" + (more.empty() ? "" : "," + more) + "}";
}

const std::vector<std::string> kEffects{"lost_reply", "not_found",   "already_exists", "denied",
                                        "internal",   "unavailable", "hang",           "half_reply"};

/// Rows and containers are the same, by name and by state.
bool oneToOne(const SimulatedPlatform &platform) {
  auto containers = platform.containers();
  for (auto &[name, state] : containers)
    state = state == "running" ? "running" : "stopped";
  return platform.rows() == containers;
}

} // namespace

TEST_CASE("a provision whose engine call fails for good: 503, no row, no container, no network, no volume") {
  SimulatedPlatform platform;
  int number = 0;
  for (const std::string call : {"pull", "volume_ensure", "create", "start"}) {
    for (const std::string &effect : kEffects) {
      const std::string handle = "fails" + std::to_string(++number);
      CAPTURE(call);
      CAPTURE(effect);
      platform.faults(rule(call, effect, ""));
      const Response answer = platform.provision(handle);
      INFO(answer.body);
      platform.faults("");
      CHECK(answer.status == 503);
      CHECK(eventually([&] { return platform.rows().empty(); }));
      CHECK(eventually([&] { return platform.containers().empty(); }));
      CHECK(platform.daemon.api("GET", "/containers/" + handle).status == 404);
      CHECK(platform.state("engine", "networks", "matrixos-test") == -1);
    }
  }
  // And the platform is as well as ever.
  CHECK(platform.provision("healthy").status == 201);
  CHECK(oneToOne(platform));
}

TEST_CASE("a provision whose undoing fails as well: 503, and the reconciler ends what was begun") {
  SimulatedPlatform platform;
  int number = 0;
  for (const std::string call : {"remove", "inspect", "volume_remove_if_empty"}) {
    CAPTURE(call);
    const std::string handle = "undone" + std::to_string(++number);
    platform.faults(rule("start", "internal", "") + "," + rule(call, "unavailable", ""));
    CHECK(platform.provision(handle).status == 503);
    platform.faults("");
    CHECK(eventually([&] { return platform.rows().empty() && platform.containers().empty(); }));
  }
}

TEST_CASE("start, stop and destroy whose engine call fails: a 5xx, and well again when tried again") {
  SimulatedPlatform platform;
  REQUIRE(platform.provision("alice").status == 201);
  const std::map<std::string, std::pair<std::string, std::string>> operations{
      {"stop", {"POST", "/containers/alice/stop"}},
      {"start", {"POST", "/containers/alice/start"}},
  };
  for (const std::string &effect : kEffects) {
    if (effect == "half_reply") continue;
    for (const std::string name : {"stop", "start"}) {
      CAPTURE(name);
      CAPTURE(effect);
      const auto &[method, target] = operations.at(name);
      platform.faults(rule(name, effect));
      const int first = platform.daemon.api(method, target).status;
      // NOT_FOUND of a start means that the container is gone: a new one takes its place.
      CHECK((first == 503 || (first == 200 && effect == "not_found")));
      platform.faults("");
      CHECK(platform.daemon.api(method, target).status == 200);
      CHECK(eventually([&] { return oneToOne(platform); }));
    }
  }
  for (const std::string call : {"remove", "volume_trash"}) {
    CAPTURE(call);
    platform.faults(rule(call, "unavailable"));
    const int status = platform.daemon.api("DELETE", "/containers/alice").status;
    CHECK((status == 503 || status == 200));
    platform.faults("");
    CHECK(eventually(
        [&] { return platform.rows().empty() && platform.containers().empty() && platform.volumes() == 0; }));
    REQUIRE(platform.provision("alice").status == 201);
  }
}

TEST_CASE("a list that breaks off is never taken for an empty one") {
  SimulatedPlatform platform;
  for (int i = 0; i < 6; ++i)
    REQUIRE(platform.provision("keep" + std::to_string(i)).status == 201);
  for (const std::string effect : {"half_list", "half_reply", "internal", "unavailable", "not_found"}) {
    CAPTURE(effect);
    platform.faults(rule("list", effect, ""));
    const std::int64_t before = platform.state("calls", "list", "calls");
    CHECK(eventually([&] { return platform.state("calls", "list", "calls") >= before + 2; }));
    platform.faults("");
    CHECK(platform.rows().size() == 6);
    CHECK(platform.containers().size() == 6);
  }
  CHECK(eventually([&] { return oneToOne(platform); }));
}

TEST_CASE("a bad day: one call of ten fails while many come and go, and in the end all is one to one") {
  SimulatedPlatform platform(DaemonProcess::Values{{"orchestrator.retry_base", "100ms"}});
  platform.faults(
      R"({"call":"*","effect":"unavailable","probability":0.05},{"call":"*","effect":"lost_reply","probability":0.05})");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&platform, t] {
      for (int i = 0; i < 15; ++i) {
        const std::string handle = "day" + std::to_string(t) + "x" + std::to_string(i % 5);
        platform.provision(handle);
        if (i % 3 == 0) platform.daemon.api("POST", "/containers/" + handle + "/stop");
        if (i % 4 == 0) platform.daemon.api("DELETE", "/containers/" + handle);
        if (i % 7 == 0) platform.daemon.api("POST", "/containers/" + handle + "/start");
      }
    });
  }
  for (std::thread &thread : threads)
    thread.join();
  platform.daemon.kill();
  platform.daemon.start(); // the rules were the control routes', so they are gone
  const auto settled = [&] {
    const auto rows = platform.rows();
    const auto containers = platform.containers();
    if (rows.size() != containers.size()) return false;
    for (const auto &[name, state] : containers) {
      const auto row = rows.find(name);
      if (row == rows.end()) return false;
      if ((row->second == "running") != (state == "running")) return false;
      if (row->second != "running" && row->second != "stopped") return false;
    }
    return true;
  };
  const bool well = eventually(settled, std::chrono::seconds{60});
  CAPTURE(platform.daemon.api("GET", "/containers").body);
  CAPTURE(platform.control("GET", "instances").body);
  CHECK(well);
}
