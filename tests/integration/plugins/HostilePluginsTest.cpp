// What plugins do wrong, and what becomes of the daemon: after each the daemon serves, another plugin serves, and the
// operator is told by name and reason. The plugins: tests/fakes/plugins/hostile/.
#include "support/DaemonProcess.h"
#include "support/TempDir.h"
#include "support/Text.h"
#include "support/Wait.h"

#include <matrixos/abi/runtime.h>

#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

using namespace matrixos::test;
namespace fs = std::filesystem;

namespace {

using Values = DaemonProcess::Values;

/// A daemon with a hostile plugin, one that calls it, and one that minds its own business.
class Hostile : public DaemonProcess {
public:
  explicit Hostile(const Values &values = {}, const std::string &enabled = "fake-good, fake-hostile, fake-consumer")
      : DaemonProcess(with(values, enabled)) {}

  std::string state(const std::string &id = "fake-hostile") const {
    return member(api("GET", "/plugins/" + id).body, "state");
  }
  std::string reason(const std::string &id = "fake-hostile") const {
    return member(api("GET", "/plugins/" + id).body, "reason");
  }
  Response run(const std::string &at, const std::string &fault) const {
    return api("GET", "/fake-hostile/run?at=" + at + "&fault=" + fault);
  }
  void callsDo(const std::string &fault) const { api("GET", "/fake-hostile/calls?fault=" + fault); }
  std::string call(const std::string &function, int timeoutMs = 10'000) const {
    const Response response =
        api("GET", "/fake-consumer/call?function=" + function + "&timeoutMs=" + std::to_string(timeoutMs));
    return member(response.body, "status") + ": " + member(response.body, "message");
  }
  bool logSays(const std::string &text) const {
    return eventually([&] { return log().find(text) != std::string::npos; });
  }
  bool metricIs(const std::string &name, int value) const {
    const std::string line = name + "{plugin=\"fake-hostile\"} " + std::to_string(value);
    return eventually([&] { return api("GET", "/metrics").body.find(line) != std::string::npos; });
  }

  void checkServes() const {
    CHECK(api("GET", "/health").status == 200);
    CHECK(api("GET", "/fake-good").status == 200);
  }

private:
  static Values with(const Values &values, const std::string &enabled) {
    Values all{{"plugins.path", (buildDir() / "test-plugins").string()}, {"plugins.enabled", enabled}};
    for (const auto &[key, value] : values)
      all[key] = value;
    return all;
  }
};

#define NAME(n, Table, name, letters, flags, minor, types) #name,
const std::vector<std::string> kFunctions{MOS_FUNCTIONS_OF_RUNTIME_1(NAME)};
#undef NAME

} // namespace

TEST_CASE("a plugin that throws in create or start fails by name") {
  for (const char *at : {"create", "start"}) {
    CAPTURE(at);
    Hostile daemon(Values{{"fake-hostile.at", at}, {"fake-hostile.fault", "throw"}});
    daemon.start();
    CHECK(daemon.state() == "failed");
    CHECK(has(daemon.reason(), "thrown on purpose"));
    CHECK(has(daemon.ctl({"plugins", "list"}).out, "thrown on purpose"));
    CHECK(has(daemon.log(), "plugin fake-hostile failed"));
    daemon.checkServes();
  }
}

TEST_CASE("a plugin that did not start is off once it is disabled, unless something of it is left") {
  Hostile ended(Values{{"fake-hostile.at", "start"}, {"fake-hostile.fault", "throw"}});
  ended.start();
  CHECK(ended.state() == "failed");
  CHECK(ended.ctl({"plugins", "disable", "fake-hostile"}).out == "fake-hostile disabled\n");
  CHECK(ended.state() == "disabled");
  Hostile left(Values{{"fake-hostile.at", "start"}, {"fake-hostile.fault", "hang"}, {"plugins.start_timeout", "1s"}});
  left.start();
  const Finished disabled = left.ctl({"plugins", "disable", "fake-hostile"});
  CHECK(disabled.status == 1);
  CHECK(has(disabled.out, "fake-hostile failed: start() did not return within 1000 ms"));
}

TEST_CASE("a plugin that throws in stop, destroy or reconfigure is told by name") {
  for (const char *at : {"stop", "destroy"}) {
    CAPTURE(at);
    Hostile daemon(Values{{"fake-hostile.at", at}, {"fake-hostile.fault", "throw"}});
    daemon.start();
    CHECK(daemon.state() == "running");
    const Finished disabled = daemon.ctl({"plugins", "disable", "fake-hostile"});
    CHECK(disabled.status == 1);
    CHECK(has(disabled.out, "fake-hostile failed: "));
    CHECK(has(disabled.out, "thrown on purpose"));
    CHECK(daemon.state() == "failed");
    CHECK(has(daemon.reason(), "thrown on purpose"));
    daemon.checkServes();
    daemon.api("POST", "/plugins/fake-hostile/enable");
    CHECK(daemon.state() == "running");
  }
  Hostile daemon(Values{{"fake-hostile.at", "reconfigure"}, {"fake-hostile.fault", "throw-int"}});
  daemon.start();
  daemon.rewriteConfig({{"fake-hostile.number", "2"}});
  const Response reload = daemon.api("POST", "/reload");
  CHECK(reload.status == 200);
  CHECK(has(reload.body, "the plugin fake-hostile threw"));
  CHECK(daemon.state() == "running");
  daemon.checkServes();
}

TEST_CASE("a plugin that hangs in create, start or stop is given up") {
  for (const char *at : {"create", "start", "stop"}) {
    CAPTURE(at);
    Hostile daemon(Values{{"fake-hostile.at", at},
                          {"fake-hostile.fault", "hang"},
                          {"plugins.start_timeout", "1s"},
                          {"plugins.stop_timeout", "1s"}});
    daemon.start();
    if (std::string(at) == "stop") daemon.api("POST", "/plugins/fake-hostile/disable");
    CHECK(daemon.state() == "failed");
    CHECK(has(daemon.reason(), std::string(at) + "() did not return within 1000 ms"));
    daemon.checkServes();
    CHECK(daemon.stop() == 0);
  }
}

TEST_CASE("plugins that are built wrong, or miss what they need, are named; the others serve") {
  Hostile daemon(Values{}, "fake-wrong-magic, fake-future-minor, fake-small-struct, fake-needs-nobody, fake-cycle-a, "
                           "fake-cycle-b, fake-wrong-id, fake-double-answer, fake-good");
  daemon.start();
  daemon.checkServes();
  const std::string list = daemon.ctl({"plugins", "list"}).out;
  CHECK(has(list, "magic is wrong"));
  CHECK(has(list, "needs host minor 9999"));
  CHECK(has(list, "too small: 24 bytes"));
  CHECK(has(list, "needs example.missing/1"));
  CHECK(has(list, "form a cycle"));
  CHECK(has(list, "calls itself"));
  CHECK(daemon.state("fake-double-answer") == "running");
}

TEST_CASE("exceptions from handlers, timers, tasks and event handlers end at the daemon's border") {
  Hostile daemon;
  daemon.start();
  const Response thrown = daemon.run("handle", "throw");
  CHECK(thrown.status == 500);
  CHECK(has(thrown.body, "the plugin fake-hostile failed to serve this request"));
  CHECK_FALSE(has(thrown.body, "thrown on purpose"));
  CHECK(daemon.logSays("plugin fake-hostile: an exception left handle(): thrown on purpose"));
  CHECK(daemon.run("handle", "throw-int").status == 500);
  int exceptions = 2;
  for (const char *at : {"timer", "task", "event"}) {
    CAPTURE(at);
    CHECK(daemon.run(at, "throw").status == 200);
    CHECK(daemon.metricIs("matrixos_plugin_exceptions_total", ++exceptions));
  }
  CHECK(daemon.state() == "running");
  daemon.checkServes();
}

TEST_CASE("whatever a runtime's functions throw or answer, the consumer gets a status and the plugin's name") {
  Hostile daemon;
  daemon.start();
  for (const std::string &function : kFunctions) {
    CAPTURE(function);
    daemon.callsDo("throw");
    CHECK(daemon.call(function) ==
          "INTERNAL: the plugin fake-hostile threw an exception in " + function + "(): thrown on purpose");
    daemon.callsDo("throw-int");
    CHECK(has(daemon.call(function), "INTERNAL: the plugin fake-hostile threw an exception in " + function));
    daemon.callsDo("status");
    CHECK(has(daemon.call(function), "UNKNOWN: the plugin fake-hostile answered the status 4711"));
    daemon.callsDo("garbage");
    const std::string garbage = daemon.call(function);
    CHECK((garbage == "OK: " || has(garbage, "the plugin fake-hostile gave an answer")));
    daemon.callsDo("");
    CHECK(has(daemon.call(function), "OK: "));
  }
  daemon.checkServes();
}

TEST_CASE("a table that is too small is refused, one without functions is UNIMPLEMENTED") {
  Hostile small(Values{{"fake-hostile.at", "small-table"}});
  small.start();
  CHECK(has(small.log(), "the table of matrixos.runtime/1 is too small: 64 bytes"));
  CHECK(has(small.call("inspect"), "UNAVAILABLE: nothing provides matrixos.runtime/1"));
  small.checkServes();
  Hostile empty(Values{{"fake-hostile.at", "null-functions"}});
  empty.start();
  for (const std::string &function : kFunctions) {
    const std::string missing = function == "start_described" ? "start" : function; // the host makes it of start()
    CHECK(has(empty.call(function), "UNIMPLEMENTED: the plugin fake-hostile has no " + missing + "()"));
  }
  empty.checkServes();
}

TEST_CASE("a runtime that hangs costs its callers their deadline, and four times at most") {
  Hostile daemon(Values{{"plugins.stop_timeout", "1s"}});
  daemon.start();
  daemon.callsDo("hang");
  for (int i = 0; i < 4; ++i) {
    CHECK(has(daemon.call(kFunctions[static_cast<std::size_t>(i)], 50),
              "DEADLINE_EXCEEDED: the plugin fake-hostile does not return from"));
    daemon.checkServes();
  }
  CHECK(
      has(daemon.call("inspect"), "UNAVAILABLE: the plugin fake-hostile is not called any more: 4 calls into it hang"));
  CHECK(daemon.state() == "degraded");
  CHECK(has(daemon.reason(), "4 calls into it hang"));
  CHECK(has(daemon.api("GET", "/ready").body, "4 calls into it hang"));
  CHECK(daemon.metricIs("matrixos_plugin_calls_abandoned_total", 4));
  CHECK(daemon.logSays("plugin fake-hostile: capabilities() is past its deadline"));
  daemon.checkServes();
  // As the message says. What hangs is left alone; the next generation is called again.
  const Finished reload = daemon.ctl({"plugins", "reload", "fake-hostile"});
  CHECK_MESSAGE(has(reload.out, "calls inside its services"), reload.out);
  CHECK(daemon.state() == "running");
  CHECK(has(daemon.call("inspect"), "OK: "));
  CHECK(daemon.stop() == 0);
}

TEST_CASE("an orchestrator whose runtime hangs answers within its deadlines, and everything else goes on") {
  const TempDir dir;
  const fs::path plugins = dir / "plugins";
  fs::create_directory(plugins);
  fs::permissions(plugins, fs::perms::owner_all);
  for (const char *id : {"fake-good", "fake-hostile"})
    fs::copy_file(buildDir() / "test-plugins" / (std::string(id) + ".so"), plugins / (std::string(id) + ".so"));
  fs::copy_file(buildDir() / "plugins/orchestrator.so", plugins / "orchestrator.so");
  Hostile daemon(Values{{"plugins.path", plugins.string()},
                        {"plugins.stop_timeout", "1s"},
                        {"orchestrator.runtime", "hostile"},
                        {"orchestrator.create_timeout", "1s"},
                        {"orchestrator.pull_timeout", "1s"},
                        {"orchestrator.engine_timeout", "1s"}},
                 "fake-good, fake-hostile, orchestrator");
  daemon.start();
  daemon.callsDo("hang");
  for (const char *handle : {"alice", "bob", "carol"}) {
    CAPTURE(handle);
    const Response answer =
        daemon.api("POST", "/containers/provision",
                   R"({"handle":")" + std::string(handle) + R"(","clerkUserId":"user_)" + handle + R"("})");
    CHECK((answer.status == 503 || answer.status == 504));
    CHECK(has(answer.body, "the plugin fake-hostile"));
    CHECK(daemon.api("GET", "/containers").status == 200);
    daemon.checkServes();
  }
  CHECK(has(daemon.reason(), "hang since"));
}

TEST_CASE("a late answer is dropped, counted, and the runtime called again") {
  Hostile daemon;
  daemon.start();
  daemon.callsDo("slow");
  CHECK(has(daemon.call("inspect", 50), "DEADLINE_EXCEEDED: "));
  CHECK(daemon.state() == "degraded");
  daemon.callsDo("");
  CHECK(has(daemon.call("inspect"), "OK: "));
  CHECK(daemon.metricIs("matrixos_plugin_stray_answers_total", 1));
  CHECK(daemon.state() == "running");
}

TEST_CASE("a plugin whose handlers hang holds its share of the API's workers") {
  Hostile daemon(Values{{"plugins.stop_timeout", "1s"}});
  daemon.start();
  std::vector<std::thread> clients;
  for (int i = 0; i < 80; ++i) {
    clients.emplace_back([&] {
      try {
        daemon.run("handle", "hang"); // until the daemon is gone
      } catch (const std::exception &) {
      }
    });
  }
  CHECK(eventually([&] {
    const Response refused = daemon.run("task", "");
    return refused.status == 503 && refused.body.find("ROUTE_BUSY") != std::string::npos;
  }));
  for (int i = 0; i < 5; ++i)
    daemon.checkServes();
  daemon.kill();
  for (auto &client : clients)
    client.join();
}

TEST_CASE("a thread that a plugin forgot may go on calling the daemon") {
  Hostile daemon(Values{{"fake-hostile.at", "leak"}});
  daemon.start();
  daemon.api("POST", "/plugins/fake-hostile/disable");
  CHECK(daemon.logSays("the leaked thread got UNAVAILABLE"));
  for (int i = 0; i < 20; ++i) {
    daemon.api("POST", "/plugins/fake-hostile/enable");
    daemon.api("POST", "/plugins/fake-hostile/disable");
  }
  daemon.checkServes();
  CHECK(daemon.stop() == 0);
}
