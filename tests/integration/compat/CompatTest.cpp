// Plugins that were compiled against a released SDK, long ago, load in today's daemon and do their work.
#include "support/DaemonProcess.h"
#include "support/Wait.h"

#include <doctest/doctest.h>

using namespace matrixos::test;
namespace fs = std::filesystem;

namespace {

/// A folder of plugins as an operator has it: ours of today, theirs of then.
void fill(const fs::path &folder, const std::string &release) {
  fs::create_directory(folder);
  fs::copy(buildDir() / "plugins/orchestrator.so", folder);
  for (const auto &entry : fs::directory_iterator(fs::path(FIXTURES) / release)) {
    if (entry.path().extension() == ".so") fs::copy(entry.path(), folder);
  }
  // The daemon refuses what others may write to; a checkout under another umask says nothing about that.
  for (const auto &entry : fs::directory_iterator(folder))
    fs::permissions(entry.path(), fs::perms::owner_read | fs::perms::owner_write);
}

/// An instance from its provision to its end.
void liveOn(const DaemonProcess &daemon) {
  const std::string handle = uniqueHandle("compat");
  const Response made =
      daemon.api("POST", "/containers/provision", R"({"handle":")" + handle + R"(","clerkUserId":"user_1"})");
  CAPTURE(made.body);
  CHECK(made.status == 201);
  CHECK(member(made.body, "status") == "running");
  CHECK(member(made.body, "runtime") == "sdk-1-0");
  CHECK(daemon.api("POST", "/containers/" + handle + "/stop").status == 200);
  CHECK(member(daemon.api("GET", "/containers/" + handle).body, "status") == "stopped");
  CHECK(daemon.api("POST", "/containers/" + handle + "/start").status == 200);
  CHECK(member(daemon.api("GET", "/containers/" + handle).body, "status") == "running");
  CHECK(daemon.api("DELETE", "/containers/" + handle).status == 200);
  CHECK(daemon.api("GET", "/containers/" + handle).status == 404);
}

} // namespace

TEST_CASE("plugins of SDK 1.0 work in today's daemon") {
  const TempDir dir;
  fill(dir / "plugins", "sdk-1.0");
  DaemonProcess daemon({{"plugins.path", (dir / "plugins").string()},
                        {"plugins.enabled", "sdk-1-0-c, sdk-1-0-cpp, runtime-sdk-1-0, orchestrator"},
                        {"orchestrator.runtime", "sdk-1-0"},
                        {"sdk-1-0-cpp.greeting", "good day"}});
  daemon.start();

  SUBCASE("in C: its route answers") {
    CHECK(daemon.api("GET", "/sdk-1-0-c").body == R"({"from":"c","sdk":"1.0"})");
  }
  SUBCASE("in C++: config, sql, events, timers, executor, metrics and http") {
    const std::string answer = R"({"from":"c++","greeting":"good day","word":"a b","words":1,"heard":true})";
    CHECK(eventually([&] { return daemon.api("GET", "/sdk-1-0-cpp/a%20b").body == answer; }));
    CHECK(daemon.api("GET", "/metrics").body.find("matrixos_sdk_1_0_requests_total") != std::string::npos);
    daemon.rewriteConfig({{"sdk-1-0-cpp.greeting", "good night"}});
    CHECK(daemon.ctl({"reload"}).status == 0);
    CHECK(eventually([&] {
      return daemon.api("GET", "/sdk-1-0-cpp/x").body.find(R"("greeting":"good night")") != std::string::npos;
    }));
  }
  SUBCASE("a runtime: an instance lives its life on it") {
    liveOn(daemon);
  }
  SUBCASE("each is stopped, started and stopped for good") {
    for (const char *id : {"sdk-1-0-c", "sdk-1-0-cpp"}) {
      CAPTURE(id);
      CHECK(daemon.ctl({"plugins", "disable", id}).status == 0);
      CHECK(daemon.ctl({"plugins", "enable", id}).status == 0);
    }
    CHECK(daemon.api("GET", "/sdk-1-0-c").status == 200);
  }
  CHECK(daemon.stop() == 0);
  for (const char *id : {"sdk-1-0-c", "sdk-1-0-cpp"})
    CHECK(daemon.log().find(std::string(id) + " stops") != std::string::npos);
}

TEST_CASE("a runtime of SDK 1.0 works in a process of its own, too") {
  const TempDir dir;
  fill(dir / "plugins", "sdk-1.0");
  DaemonProcess daemon({{"plugins.path", (dir / "plugins").string()},
                        {"plugins.enabled", "runtime-sdk-1-0, orchestrator"},
                        {"orchestrator.runtime", "sdk-1-0"},
                        {"runtime-sdk-1-0.isolation", "process"}});
  daemon.start();
  liveOn(daemon);
  CHECK(daemon.stop() == 0);
}
