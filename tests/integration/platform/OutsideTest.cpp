// What happens to containers behind the platform's back, on a real engine: it is noticed, told and set right.
#include "Engine.h"
#include "support/DaemonProcess.h"
#include "support/Wait.h"

#include <doctest/doctest.h>

#include <filesystem>

using namespace matrixos;
using namespace matrixos::test;

namespace {

/// A platform with one instance, which hears of things from the engine's events, and looks every `reconcile`: beside
/// other tests the engine is busy enough to drop events.
struct Outside {
  explicit Outside(const std::string &reconcile = "10s")
      : daemon(DaemonProcess::Values{{"orchestrator.reconcile_interval", reconcile}}), handle(uniqueHandle("out")),
        host(handle + ".localhost") {
    daemon.start();
    const Response made = daemon.api("POST", "/containers/provision",
                                     R"({"handle":")" + handle + R"(","clerkUserId":"user_)" + handle + R"("})");
    INFO(made.body);
    REQUIRE(made.status == 201);
    REQUIRE(page() == 200);
  }
  ~Outside() {
    try {
      daemon.api("DELETE", "/containers/" + handle);
    } catch (const std::exception &) {
    }
  }
  Outside(const Outside &) = delete;
  Outside &operator=(const Outside &) = delete;

  int page() const {
    try {
      return daemon.web(host, "/").status;
    } catch (const std::exception &) {
      return 0;
    }
  }
  std::string record() const { return daemon.api("GET", "/containers/" + handle).body; }
  std::string status() const { return member(record(), "status"); }
  /// Where it listens, and since when.
  std::string endpoints() const { return json::dump(json::parseObject(record())->get("endpoints")); }
  bool says(const std::string &part) const { return record().find(part) != std::string::npos; }
  void crash() const {
    try {
      request(daemon.proxyPort(), "POST", "/api/exit?code=3", {{"Host", host}}, "");
    } catch (const std::exception &) {
      // It ends in the middle of its answer.
    }
  }

  DaemonProcess daemon;
  std::string handle;
  std::string host;
};

} // namespace

TEST_CASE("a program that dies and is started again by the engine is known at its new run" *
          doctest::skip(!engineAnswers())) {
  const Outside f;
  const std::string before = f.endpoints();
  REQUIRE(before != "[]");
  // A busy engine drops events without a word, and nothing but events can tell here.
  bool known = false;
  for (int i = 0; i < 3 && !known; ++i) {
    REQUIRE(run({"kill", "-9", inspect(f.handle, "{{.State.Pid}}")}).status == 0);
    known = eventually([&] { return f.endpoints() != before && f.endpoints() != "[]"; });
  }
  CHECK(known);
  CHECK(f.status() == "running");
  CHECK(f.says(R"("lastEnd":{"exitCode":137,)"));
  CHECK(eventually([&] { return f.page() == 200; }));
}

TEST_CASE("a program that ends again and again has failed, and says how" * doctest::skip(!engineAnswers())) {
  const Outside f;
  for (int i = 0; i < 4 && f.status() == "running"; ++i) {
    const std::string times = "\"times\":" + std::to_string(i + 1) + ",";
    CHECK(eventually([&] {
      if (f.says(times)) return true;
      f.crash();
      return false;
    }));
  }
  CHECK(eventually([&] { return f.status() == "failed"; }));
  CHECK(f.says("ended with exit code 3, 4 times"));
  CHECK(inspect(f.handle, "{{.State.Running}} {{.State.Restarting}}") == "false false");
  CHECK(f.daemon.log().find("the program of an instance ended") != std::string::npos);
  // Whoever comes next begins anew.
  CHECK(eventually([&] { return f.page() == 200; }));
}

TEST_CASE("a container that was renamed stays the instance's" * doctest::skip(!engineAnswers())) {
  const Outside f("1s");
  const std::string other = "renamed-" + f.handle;
  const std::string ref = inspect(f.handle, "{{.Id}}");
  docker({"rename", "matrixos-" + f.handle, other});
  CHECK(f.page() == 200);
  CHECK(f.daemon.api("POST", "/containers/" + f.handle + "/stop").status == 200);
  CHECK(f.page() == 200);
  CHECK(docker({"inspect", "--format", "{{.Id}} {{.State.Running}}", other}) == ref + " true");
  CHECK(docker({"ps", "-aq", "--filter", "label=matrixos.handle=" + f.handle}).size() == 12);
  CHECK(f.daemon.api("DELETE", "/containers/" + f.handle).status == 200);
  CHECK(docker({"ps", "-aq", "--filter", "label=matrixos.handle=" + f.handle}).empty());
}

TEST_CASE("an instance that was taken off its network is connected again" * doctest::skip(!engineAnswers())) {
  // By a look at what there is, and by the engine's word alone.
  for (const char *reconcile : {"1s", "1h"}) {
    CAPTURE(reconcile);
    const Outside f(reconcile);
    const std::string network = inspect(f.handle, "{{.HostConfig.NetworkMode}}");
    docker({"network", "disconnect", network, "matrixos-" + f.handle});
    CHECK(eventually([&] { return f.daemon.log().find("was connected again") != std::string::npos; }));
    CHECK(inspect(f.handle, "{{len .NetworkSettings.Networks}}") == "1");
    CHECK(eventually([&] { return f.page() == 200; }));
  }
}

TEST_CASE("homes that are not there are not taken for empty ones" * doctest::skip(!engineAnswers())) {
  Outside f;
  REQUIRE(request(f.daemon.proxyPort(), "PUT", "/api/file", {{"Host", f.host}}, "mine").status / 100 == 2);
  REQUIRE(f.daemon.api("POST", "/containers/" + f.handle + "/stop").status == 200);
  const std::filesystem::path users = f.daemon.usersDir();
  std::filesystem::rename(users, users.string() + ".away");
  std::filesystem::create_directory(users); // the empty mount point
  const Response start = f.daemon.api("POST", "/containers/" + f.handle + "/start");
  CHECK(start.status == 503);
  CHECK(start.body.find(users.string()) != std::string::npos);
  CHECK(f.page() != 200);
  CHECK(f.daemon.api("POST", "/containers/provision", R"({"handle":"another","clerkUserId":"user_2"})").status == 503);
  CHECK(std::filesystem::is_empty(users));
  std::filesystem::remove(users);
  std::filesystem::rename(users.string() + ".away", users);
  CHECK(f.daemon.api("POST", "/containers/" + f.handle + "/start").status == 200);
  CHECK(eventually([&] { return f.daemon.web(f.host, "/api/file").body.find("mine") != std::string::npos; }));
}
