// An isolated plugin that uses services of others: fake-relay in its process, the desk in this one.
#include "Isolated.h"
#include "services/DeskProvider.h"
#include "support/Errors.h"
#include "support/Wait.h"

#include <matrixos/abi/lifecycle.h>
#include <matrixos/abi/orchestrator.h>

#include <doctest/doctest.h>
#include <signal.h>

#include <atomic>
#include <thread>
#include <vector>

using namespace matrixos;
using namespace matrixos::isolation;
using namespace matrixos::test;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

MOS_DESCRIBE_SERVICE(kDesk, EXAMPLE_DESK_1, EXAMPLE_DESK_1_MINOR, EXAMPLE_DESK_1_FUNCTIONS)

/// fake-relay with a desk.
class Relay {
public:
  Relay() : plugin_(settings()) {
    plugin_.host.offer(EXAMPLE_DESK_1, desk.table());
    plugin_.start();
  }
  std::string inspect(const std::string &ref, milliseconds timeout = seconds{60}) const {
    const CallScope call(timeout, "op-1", "trace-1");
    return plugin_.runtime().inspect(call.abi(), ref);
  }
  std::int64_t number(const std::string &ref, const std::string &key) const {
    return json::getInt(*json::parseObject(inspect(ref)), key, -1);
  }
  Isolated &plugin() { return plugin_; }

  DeskProvider desk;

private:
  static ProcessSettings settings() {
    common::ServiceCatalogue::instance().add(common::ServiceDescription::read(kDesk));
    return settingsFor("fake-relay");
  }

  Isolated plugin_;
};

} // namespace

TEST_CASE("an isolated plugin calls functions of every kind") {
  Relay relay;
  SUBCASE("that block, with texts, ids and errors") {
    CHECK(relay.inspect("echo:ä b") == R"({"text":"ä b","operation":"op-1","trace":"trace-1"})");
    const Error error = errorOf([&] { relay.inspect("echo:throw"); });
    CHECK(error.status() == Status::Aborted);
    CHECK(error.reason() == "DESK");
    CHECK(error.retryAfterMs() == 1234);
    CHECK(error.what() == std::string("it went wrong at the desk, ä"));
  }
  SUBCASE("streams, as many as there are, and stopped") {
    CHECK(relay.inspect("count:20000,100") == R"({"items":20000,"bytes":2000000})");
    CHECK(relay.inspect("count:3,900000") == R"({"items":3,"bytes":2700000})");
    CHECK(relay.number("count:2000000,100,stop", "items") == 3);
    CHECK(relay.desk.given() < 1'000'000);
  }
  SUBCASE("asynchronous ones") {
    CHECK(relay.inspect("ask:soon") == R"({"status":0,"number":4,"times":1}soon)");
    CHECK(relay.number("ask:fails", "status") == MOS_ABORTED);
    CHECK(errorOf([&] { relay.inspect("ask:no"); }).reason() == "NO");
  }
  SUBCASE("that must not wait") {
    CHECK(relay.inspect("peek:abc") == "cba");
    CHECK(relay.inspect("letters:abc") == "a-b-c-");
  }
  SUBCASE("but none of what it released, and nothing too large") {
    CHECK(errorOf([&] { relay.inspect("released"); }).reason() == "TABLE_RELEASED");
    CHECK(errorOf([&] { relay.inspect("count:1,2000000"); }).status() == Status::ResourceExhausted);
    CHECK(relay.inspect("peek:ab") == "ba");
  }
  SUBCASE("within its deadline") {
    const Error error = errorOf([&] { relay.inspect("echo:hang in 100"); });
    CHECK(error.status() == Status::DeadlineExceeded);
    CHECK(errorOf([&] { relay.inspect("echo:hang in -5"); }).status() == Status::DeadlineExceeded);
    CHECK(relay.inspect("peek:ab") == "ba");
  }
}

TEST_CASE("a service that an isolated plugin calls may call it back") {
  Relay relay;
  relay.desk.back = [&](const std::string &ref) { return relay.inspect(ref); };
  CHECK(relay.inspect("echo:back:echo:back:echo:back:peek:abc") == "cba");
  // Deeper than there are threads for it ends, and all the rest goes on.
  std::atomic<int> depth{0};
  relay.desk.back = [&](const std::string &) {
    ++depth;
    return relay.inspect("echo:back:again");
  };
  const Error error = errorOf([&] { relay.inspect("echo:back:again"); });
  CHECK(error.reason() == "PLUGIN_BUSY");
  CHECK(depth > 50);
  CHECK(relay.inspect("peek:ab") == "ba");
}

TEST_CASE("what an isolated plugin has under way ends with its process") {
  Relay relay;
  const std::int64_t before = relay.number("seen", "pid");
  const Error error = errorOf([&] { relay.inspect("die:hang", seconds{5}); });
  CHECK(error.status() != Status::Ok);
  CHECK(eventually([&] { return relay.desk.cancelled() >= 1 && relay.desk.waiting() == 0; }));
  CHECK(relay.number("seen", "pid") != before);
  CHECK(relay.inspect("echo:x").find("\"x\"") != std::string::npos);
}

TEST_CASE("an isolated plugin that floods others is told to wait, and no memory grows") {
  Relay relay;
  const auto flood = json::parseObject(relay.inspect("flood:300"));
  CHECK(json::getInt(*flood, "good", 0) >= 1);
  CHECK(json::getInt(*flood, "busy", 0) >= 1);
  CHECK(json::getInt(*flood, "bad", -1) == 0);
  const auto many = json::parseObject(relay.inspect("many:1500"));
  CHECK(json::getInt(*many, "good", 0) == 1024);
  CHECK(json::getInt(*many, "busy", 0) == 1500 - 1024);
  CHECK(relay.inspect("peek:ab") == "ba");
  CHECK(relay.plugin().host.metric("matrixos_plugin_process_restarts_total") == 0);
}

TEST_CASE("calls of many threads at once reach a service, each with its own answer") {
  Relay relay;
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 8; ++t) {
    callers.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const std::string text = std::to_string(t) + "-" + std::to_string(i);
        if (relay.inspect("echo:" + text).find("\"" + text + "\"") == std::string::npos) ++wrong;
      }
    });
  }
  for (std::thread &caller : callers)
    caller.join();
  CHECK(wrong == 0);
  CHECK(relay.plugin().host.metric("matrixos_plugin_process_restarts_total") == 0);
}

TEST_CASE("what a plugin needs decides whether it can be isolated") {
  mos_descriptor_v1 d{};
  d.struct_size = sizeof d;
  const auto whyNot = [&d](const char *service) {
    const mos_need need{service, 0, 0};
    d.needs = &need;
    d.needs_count = 1;
    return whyNotIsolated(d);
  };
  CHECK(whyNot(MOS_RUNTIME_1) == "");
  CHECK(whyNot(MOS_RUNTIME_1 ":docker") == "");
  CHECK(whyNot(MOS_LIFECYCLE_1) ==
        "it needs matrixos.lifecycle/1, whose report_activity() takes what cannot leave a process (parameters pu)");
  CHECK(contains(whyNot(MOS_ORCHESTRATOR_1), "whose watch() takes"));
  CHECK(contains(whyNot("example.unheard/1"), "does not describe it"));
  // Also where somebody else has described it: its own process would not know it.
  common::ServiceCatalogue::instance().add(common::ServiceDescription::read(kDesk));
  CHECK(contains(whyNot(EXAMPLE_DESK_1), "MOS_DESCRIBE_SERVICE"));
  const mos_service_v1 *services[] = {&kDesk};
  d.services = services;
  d.services_count = 1;
  CHECK(whyNot(EXAMPLE_DESK_1) == "");
  d.needs_count = 0;
  CHECK(contains(whyNotIsolated(d), "neither provides a service nor needs one"));
}

TEST_CASE("stop() of an isolated plugin waits for nobody who hangs") {
  Relay relay;
  std::thread caller([&] { errorOf([&] { relay.inspect("echo:hang"); }); });
  CHECK(eventually([&] { return relay.desk.waiting() == 1; }));
  relay.plugin().stop();
  caller.join();
  CHECK(eventually([&] { return relay.desk.waiting() == 0; }));
}
