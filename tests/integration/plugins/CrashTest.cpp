// Plugins that bring the daemon down: named at the next start, quarantined after the second time in a row.
#include "support/DaemonProcess.h"
#include "support/Sanitizers.h"
#include "support/Text.h"
#include "support/Wait.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <vector>

using namespace matrixos::test;
namespace fs = std::filesystem;

namespace {

/// A daemon that crashes, and its plugins in a folder of its own, so that a test can change them.
class Crashing {
public:
  explicit Crashing(DaemonProcess::Values values = {}, const std::string &hostile = "fake-hostile") {
    fs::create_directory(plugins_ / "plugins");
    fs::permissions(plugins_ / "plugins", fs::perms::owner_all);
    for (const std::string &id : {std::string("fake-good"), std::string("fake-consumer"), hostile})
      fs::copy_file(buildDir() / "test-plugins" / (id + ".so"), file(id));
    values["plugins.path"] = (plugins_ / "plugins").string();
    values.emplace("plugins.enabled", "fake-good, fake-consumer, " + hostile);
    daemon.emplace(values);
  }

  fs::path file(const std::string &id) const { return plugins_ / "plugins" / (id + ".so"); }
  fs::path record(const std::string &id = "fake-hostile") const { return daemon->dir() / ("data/quarantine/" + id); }

  /// Starts the daemon; true when it serves, false when it died on the way.
  bool starts() {
    daemon->launch();
    return daemon->waitUntilServing();
  }
  bool dies() { return daemon->process().wait(std::chrono::seconds{60}).has_value(); }
  /// Asks for the fault; the answer, if any, is of no interest.
  void provoke(const std::string &at, const std::string &fault) {
    try {
      if (at == "call") {
        daemon->api("GET", "/fake-hostile/calls?fault=" + fault);
        daemon->api("GET", "/fake-consumer/call?function=inspect");
      } else {
        daemon->api("GET", "/fake-hostile/run?at=" + at + "&fault=" + fault);
      }
    } catch (const std::exception &) {
    }
  }
  std::string state(const std::string &id = "fake-hostile") const {
    return member(daemon->api("GET", "/plugins/" + id).body, "state");
  }
  std::string reason(const std::string &id = "fake-hostile") const {
    return member(daemon->api("GET", "/plugins/" + id).body, "reason");
  }
  void checkServes() const {
    CHECK(daemon->api("GET", "/health").status == 200);
    CHECK(daemon->api("GET", "/fake-good").status == 200);
  }

  std::optional<DaemonProcess> daemon;

private:
  TempDir plugins_;
};

struct Crash {
  const char *at;    ///< where
  const char *fault; ///< what
  const char *says;  ///< in the log and in the plugin's reason
};

} // namespace

TEST_CASE("a plugin that crashes the daemon while it serves is quarantined after two in a row" SKIP_IN_SANITIZERS) {
  const std::vector<Crash> crashes{
      {"handle", "segv", "SIGSEGV at address 0x10 in handle()"},
      {"call", "segv", "SIGSEGV at address 0x10 in inspect()"},
      {"timer", "segv", "SIGSEGV at address 0x10 in a timer"},
      {"event", "segv", "SIGSEGV at address 0x10 in an event handler"},
      {"thread", "segv", "SIGSEGV at address 0x10 in a thread of its own"},
      {"thread", "abort", "SIGABRT in a thread of its own"},
      {"thread", "throw", "SIGABRT in a thread of its own"},
      {"task", "abort", "SIGABRT in a task"},
      {"handle", "overflow", "SIGSEGV at address 0x"},
      {"call", "exit", "exit() was called in inspect()"},
  };
  for (const Crash &crash : crashes) {
    CAPTURE(crash.at);
    CAPTURE(crash.fault);
    Crashing test;
    for (int i = 1; i <= 2; ++i) {
      REQUIRE(test.starts());
      CHECK(test.state() == "running");
      test.provoke(crash.at, crash.fault);
      REQUIRE(test.dies());
      CHECK(has(test.daemon->log(), "the plugin fake-hostile brings the daemon down"));
    }
    REQUIRE(test.starts());
    CHECK(has(test.daemon->log(), "the plugin fake-hostile brought it down with " + std::string(crash.says)));
    CHECK(test.state() == "quarantined");
    CHECK(has(test.reason(), "2 times in a row"));
    CHECK(has(test.reason(), crash.says));
    CHECK(has(test.reason(), "matrixosctl plugins enable fake-hostile"));
    test.checkServes();
    CHECK(test.daemon->api("GET", "/ready").status == 503);
    CHECK(has(test.daemon->api("GET", "/ready").body, "quarantined"));
    CHECK(has(test.daemon->ctl({"plugins", "list"}).out, "quarantined"));
    CHECK(has(test.daemon->api("GET", "/metrics").body, "matrixos_plugin_crashes_total{plugin=\"fake-hostile\"}"));
    const Finished enabled = test.daemon->ctl({"plugins", "enable", "fake-hostile"});
    CHECK_MESSAGE(enabled.status == 0, enabled.out);
    CHECK(test.state() == "running");
    CHECK_FALSE(fs::exists(test.record()));
    CHECK(test.daemon->stop() == 0);
  }
}

TEST_CASE(
    "a plugin that ends the daemon while it is loaded or starts is quarantined after two in a row" SKIP_IN_SANITIZERS) {
  const std::vector<Crash> crashes{
      {"start", "segv", "SIGSEGV at address 0x10 in start()"}, {"create", "abort", "SIGABRT in create()"},
      {"start", "overflow", "SIGSEGV at address 0x"},          {"start", "exit", "exit() was called in start()"},
      {"start", "_exit", "exit() was called in start()"},
  };
  for (const Crash &crash : crashes) {
    CAPTURE(crash.at);
    CAPTURE(crash.fault);
    Crashing test(DaemonProcess::Values{{"fake-hostile.at", crash.at}, {"fake-hostile.fault", crash.fault}});
    CHECK_FALSE(test.starts());
    CHECK_FALSE(test.starts());
    REQUIRE(test.starts());
    CHECK(test.state() == "quarantined");
    CHECK(has(test.reason(), crash.says));
    test.checkServes();
    CHECK(test.daemon->stop() == 0);
  }
  Crashing loaded({}, "fake-crashes-when-loaded");
  CHECK_FALSE(loaded.starts());
  CHECK_FALSE(loaded.starts());
  REQUIRE(loaded.starts());
  CHECK(loaded.state("fake-crashes-when-loaded") == "quarantined");
  CHECK(has(loaded.reason("fake-crashes-when-loaded"), "SIGSEGV at address 0x10 in its constructors"));
  CHECK(loaded.daemon->ctl({"config", "check"}).status == 0);
  loaded.checkServes();
}

TEST_CASE("a run that ends as it should wipes a single crash out" SKIP_IN_SANITIZERS) {
  Crashing test;
  REQUIRE(test.starts());
  test.provoke("handle", "segv");
  REQUIRE(test.dies());
  REQUIRE(test.starts());
  CHECK(fs::exists(test.record()));
  CHECK(test.state() == "running");
  CHECK(test.daemon->stop() == 0);
  CHECK_FALSE(fs::exists(test.record()));
  REQUIRE(test.starts());
  test.provoke("handle", "segv");
  REQUIRE(test.dies());
  REQUIRE(test.starts());
  CHECK(test.state() == "running");
}

TEST_CASE("the quarantine ends with a changed file, or with the record" SKIP_IN_SANITIZERS) {
  Crashing test;
  const auto crashTwice = [&] {
    for (int i = 1; i <= 2; ++i) {
      REQUIRE(test.starts());
      test.provoke("handle", "segv");
      REQUIRE(test.dies());
    }
    REQUIRE(test.starts());
    REQUIRE(test.state() == "quarantined");
  };
  crashTwice();
  CHECK(test.daemon->stop() == 0);
  REQUIRE(fs::exists(test.record()));
  fs::last_write_time(test.file("fake-hostile"), fs::file_time_type::clock::now());
  REQUIRE(test.starts());
  CHECK(test.state() == "running");
  test.daemon->kill();
  crashTwice();
  CHECK(test.daemon->stop() == 0);
  fs::remove(test.record());
  REQUIRE(test.starts());
  CHECK(test.state() == "running");
}

TEST_CASE("a runtime in quarantine runs in a process of its own, and crashes there as it likes" SKIP_IN_SANITIZERS) {
  Crashing test(DaemonProcess::Values{{"fake-hostile.at", "start"}, {"fake-hostile.fault", "segv"}});
  CHECK_FALSE(test.starts());
  CHECK_FALSE(test.starts());
  REQUIRE(test.starts());
  CHECK(test.state() == "quarantined");
  CHECK(has(test.reason(), "isolation = process"));
  CHECK(test.daemon->stop() == 0);
  test.daemon->rewriteConfig({{"fake-hostile.isolation", "process"}});
  REQUIRE(test.starts());
  CHECK(test.state() == "failed");
  test.checkServes();
  CHECK(test.daemon->stop() == 0);
  test.daemon->rewriteConfig({{"fake-hostile.at", ""}});
  REQUIRE(test.starts());
  CHECK(test.state() == "running");
  test.checkServes();
}

TEST_CASE("a required plugin in quarantine fails the start, with the reason" SKIP_IN_SANITIZERS) {
  Crashing test(DaemonProcess::Values{{"plugins.required", "fake-hostile"}});
  for (int i = 1; i <= 2; ++i) {
    REQUIRE(test.starts());
    test.provoke("handle", "segv");
    REQUIRE(test.dies());
  }
  CHECK_FALSE(test.starts());
  CHECK(has(test.daemon->log(), "a required plugin did not start: fake-hostile: it brought the daemon down 2 times"));
}

TEST_CASE("nobody is blamed for a daemon that is killed, whenever that is") {
  Crashing test;
  const auto checkInnocent = [&] {
    CHECK(test.state() == "running");
    test.checkServes();
    CHECK_FALSE(fs::exists(test.daemon->dir() / "data/quarantine"));
  };
  for (int i = 0; i < 2; ++i) {
    REQUIRE(test.starts());
    test.daemon->kill();
  }
  REQUIRE(test.starts());
  CHECK(has(test.daemon->log(), "nothing points at a plugin"));
  checkInnocent();
  test.daemon->process().signal(SIGSEGV); // somebody else's
  REQUIRE(test.dies());
  REQUIRE(test.starts());
  CHECK(has(test.daemon->log(), "SIGSEGV, sent by process"));
  checkInnocent();
  CHECK(test.daemon->stop() == 0);
}

TEST_CASE("nobody is blamed for a daemon that is killed at ever later moments of its start") {
  DaemonProcess daemon(
      DaemonProcess::Values{{"plugins.enabled", "runtime-simulated, orchestrator, lifecycle, social, proxy"}});
  bool served = false;
  for (int after = 0; !served; after += 3) {
    daemon.launch();
    daemon.process().wait(std::chrono::milliseconds{after});
    served = daemon.log().rfind("serving") + 1 > daemon.log().rfind("starting") + 1;
    daemon.kill();
  }
  daemon.start();
  CHECK(daemon.api("GET", "/ready").status == 200);
  CHECK_FALSE(fs::exists(daemon.dir() / "data/quarantine"));
}

TEST_CASE("a daemon that is killed inside a plugin's lifecycle call tells which, and blames nobody") {
  for (const char *at : {"create", "start"}) {
    CAPTURE(at);
    const std::string call = std::string(at) + "()";
    Crashing test(DaemonProcess::Values{{"fake-hostile.at", at}, {"fake-hostile.fault", "hang"}});
    for (const int signal : {SIGKILL, SIGKILL, SIGABRT, SIGABRT}) {
      CAPTURE(signal);
      test.daemon->launch();
      const std::string pid = "pid=" + std::to_string(test.daemon->process().pid());
      // The page's texts: the lifecycle call in progress, and its plugin. The one before left them, too.
      REQUIRE(eventually([&] {
        if (test.daemon->log().find(pid) == std::string::npos) return false;
        const std::string page = readFile(test.daemon->dir() / "data/run/breadcrumb");
        return page.find("fake-hostile") != std::string::npos && page.find(call) != std::string::npos;
      }));
      test.daemon->process().signal(signal);
      REQUIRE(test.dies());
    }
    test.daemon->rewriteConfig({{"fake-hostile.at", ""}});
    REQUIRE(test.starts());
    CHECK(has(test.daemon->log(), "the daemon vanished during " + call + " of fake-hostile without a word"));
    CHECK(has(test.daemon->log(), "SIGABRT, sent by process"));
    CHECK(test.state() == "running");
    CHECK_FALSE(fs::exists(test.daemon->dir() / "data/quarantine"));
  }
}

TEST_CASE("a run that served and was then killed wipes a single crash out, and what a kill left half written "
          "goes" SKIP_IN_SANITIZERS) {
  Crashing test;
  const auto crash = [&] {
    REQUIRE(test.starts());
    test.provoke("handle", "segv");
    REQUIRE(test.dies());
  };
  crash();
  REQUIRE(test.starts());
  CHECK(fs::exists(test.record()));
  test.daemon->kill();
  const fs::path half = test.daemon->dir() / "data/quarantine/fake-hostile.tmp-01ARZ3NDEKTSV4RRFFQ69G5FAV";
  const fs::path draft = test.daemon->dir() / "data/install-id.tmp-01ARZ3NDEKTSV4RRFFQ69G5FAV";
  for (const fs::path &file : {half, draft})
    writeFile(file, "{\"crash");
  REQUIRE(test.starts());
  CHECK_FALSE(fs::exists(test.record()));
  for (const fs::path &file : {half, draft})
    CHECK_FALSE(fs::exists(file));
  test.provoke("handle", "segv");
  REQUIRE(test.dies());
  REQUIRE(test.starts());
  CHECK(test.state() == "running");
}
