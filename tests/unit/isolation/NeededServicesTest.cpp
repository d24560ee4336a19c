// An isolated plugin that uses services of others: fake-relay in its process, the desk in this one.
#include "Isolated.h"
#include "services/DeskProvider.h"
#include "support/Errors.h"
#include "support/Wait.h"

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
}

TEST_CASE("stop() of an isolated plugin waits for nobody who hangs") {
  Relay relay;
  std::thread caller([&] { errorOf([&] { relay.inspect("echo:hang"); }); });
  CHECK(eventually([&] { return relay.desk.waiting() == 1; }));
  relay.plugin().stop();
  caller.join();
  CHECK(eventually([&] { return relay.desk.waiting() == 0; }));
}
