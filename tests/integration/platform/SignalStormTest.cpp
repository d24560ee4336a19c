// SIGTERM, SIGINT and SIGHUP at random moments of start, work and stop: a clean exit or a clean reload, never a lost
// row.
#include "Engine.h"
#include "support/DaemonProcess.h"
#include "support/Wait.h"

#include <doctest/doctest.h>

#include <csignal>
#include <random>
#include <set>
#include <thread>

using namespace matrixos;
using namespace matrixos::test;

namespace {

constexpr int kStorms = 20;

std::set<std::string> handlesOf(const DaemonProcess &daemon) {
  std::set<std::string> handles;
  const auto list = json::parse(daemon.api("GET", "/containers").body).extract<json::Array::Ptr>();
  for (unsigned i = 0; i < list->size(); ++i)
    handles.insert(list->getObject(i)->getValue<std::string>("handle"));
  return handles;
}

/// Keeps signing up while the storm goes; gives the handles whose sign-up was acknowledged.
std::set<std::string> signUpUntilGone(DaemonProcess &daemon, const std::string &prefix) {
  std::set<std::string> acknowledged;
  for (int i = 0; i < 3; ++i) {
    const std::string handle = prefix + std::to_string(i);
    try {
      const Response answer = daemon.api("POST", "/containers/provision",
                                         R"({"handle":")" + handle + R"(","clerkUserId":"user_)" + handle + R"("})");
      if (answer.status == 201) acknowledged.insert(handle);
    } catch (const std::exception &) {
      break; // the daemon has stopped listening
    }
  }
  return acknowledged;
}

/// SIGTERM is blocked in the main thread, that is, left to the thread that owns signals.
bool takesSignals(pid_t pid) {
  const std::string status = readFile("/proc/" + std::to_string(pid) + "/status");
  const std::size_t at = status.find("SigBlk:\t");
  if (at == std::string::npos) return false;
  return (std::stoull(status.substr(at + 8, 16), nullptr, 16) >> (SIGTERM - 1) & 1U) != 0;
}

} // namespace

TEST_CASE("twenty storms of signals" * doctest::skip(!engineAnswers())) {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  DaemonProcess daemon;
  std::set<std::string> expected;
  for (int storm = 0; storm < kStorms; ++storm) {
    CAPTURE(storm);
    daemon.launch();
    // Before main() no program can take a signal; the storm begins once this one can.
    REQUIRE(eventually([&] { return takesSignals(daemon.process().pid()); }));
    std::set<std::string> acknowledged;
    std::thread worker([&] {
      // A storm during the start leaves nothing to sign up with.
      if (daemon.waitUntilServing(std::chrono::seconds{20})) {
        acknowledged = signUpUntilGone(daemon, uniqueHandle("sig"));
      }
    });
    // The pause only scatters the moment of the first signal over start and work; nothing is expected at any moment.
    std::this_thread::sleep_for(std::chrono::milliseconds{std::uniform_int_distribution<int>{0, 1500}(random)});
    const pid_t pid = daemon.process().pid();
    const int count = std::uniform_int_distribution<int>{3, 8}(random);
    for (int i = 0; i < count; ++i) {
      constexpr int kinds[] = {SIGHUP, SIGHUP, SIGTERM, SIGINT};
      ::kill(pid, kinds[std::uniform_int_distribution<std::size_t>{0, 3}(random)]);
      std::this_thread::sleep_for(std::chrono::milliseconds{std::uniform_int_distribution<int>{0, 50}(random)});
    }
    ::kill(pid, SIGTERM);
    worker.join();
    const auto status = daemon.process().wait(std::chrono::seconds{90});
    INFO(daemon.log());
    REQUIRE(status);
    CHECK(*status == 0);
    expected.insert(acknowledged.begin(), acknowledged.end());
  }

  daemon.start();
  const std::set<std::string> left = handlesOf(daemon);
  for (const std::string &handle : expected) {
    CAPTURE(handle);
    CHECK(left.count(handle) == 1);
  }
  CHECK(
      run({"sqlite3", (daemon.dir() / "data/matrixos.db").string(), "pragma integrity_check; pragma foreign_key_check"})
          .out == "ok\n");
  for (const std::string &handle : left)
    CHECK(daemon.api("DELETE", "/containers/" + handle).status == 200);
  CHECK(daemon.stop() == 0);
}
