/// Logs, statistics and events of a real engine.
#include "TestEngine.h"

#include <doctest/doctest.h>

#include <mutex>
#include <thread>

using namespace matrixos;
using namespace matrixos::docker;
using namespace matrixos::docker::test;

namespace {

TestEngine &engine() {
  return TestEngine::get(TEST_ENGINE);
}

bool isPodman() {
  return std::string(TEST_ENGINE) == "podman";
}

std::string create(const std::string &name, std::vector<std::string> command) {
  const Within call;
  auto spec = engine().spec(engine().unique(name), engine().unique("net-stream"));
  json::Array::Ptr words = new json::Array;
  for (const std::string &word : command)
    words->add(word);
  spec->set("command", words);
  spec->set("restart", "no");
  return at(engine().client().create(call.abi(), json::dump(*spec)), "ref").toString();
}

} // namespace

TEST_CASE("logs come as lines, both streams, with times, and as UTF-8") {
  const Within call;
  const RuntimeClient client = engine().client();
  const std::string ref = create("logs", {"/tenant", "raw", "odd:"});
  guarded(nullptr, [&] { client.start(call.abi(), ref); });
  std::vector<std::string> lines;
  CHECK(eventually([&] {
    lines.clear();
    // Podman 4.3 joins lines wrongly when asked for a tail.
    client.logs(call.abi(), ref, isPodman() ? "{}" : "{\"tail\": 10}", [&](std::string_view item) {
      CHECK(at(std::string(item), "time").convert<Poco::Int64>() > 1'600'000'000'000);
      CHECK(at(std::string(item), "stream").toString() == "stdout");
      lines.push_back(at(std::string(item), "line").toString());
      return true;
    });
    return lines.size() >= 2 || (isPodman() && lines.size() == 1);
  }));
  REQUIRE(lines.size() >= 1);
  CHECK(lines[0] == "odd:\xEF\xBF\xBD\xEF\xBF\xBD");
  // Podman 4.3 keeps a last line without its line feed to itself.
  if (!isPodman()) CHECK(lines.back() == "no line feed");
  const Within gone;
  client.remove(gone.abi(), ref, MOS_REMOVE_FORCE | MOS_REMOVE_UNUSED_NETWORKS);
  CHECK(failure([&] { client.logs(gone.abi(), ref, "{}", [](std::string_view) { return true; }); }).status() ==
        Status::NotFound);
}

TEST_CASE("followed logs end when the caller cancels") {
  const Within call;
  const std::string ref = create("follow", {"/tenant", "serve", "4000"});
  engine().client().start(call.abi(), ref);
  Within follow;
  mos_error error{};
  const mos_status status = guarded(&error, [&] {
    engine().client().logs(follow.abi(), ref, "{\"follow\": true}", [&](std::string_view item) {
      CHECK(at(std::string(item), "line").toString() == "serving");
      follow.cancel();
      return true;
    });
  });
  CHECK(status == MOS_CANCELLED);
  engine().client().remove(call.abi(), ref, MOS_REMOVE_FORCE | MOS_REMOVE_UNUSED_NETWORKS);
}

TEST_CASE("statistics have figures") {
  const Within call;
  const std::string ref = create("stats", {"/tenant", "serve", "4000"});
  engine().client().start(call.abi(), ref);
  const std::string text = engine().client().stats(call.abi(), ref);
  CHECK(at(text, "cpuNanos").convert<Poco::Int64>() > 0);
  CHECK(at(text, "memoryBytes").convert<Poco::Int64>() > 0);
  CHECK(at(text, "memoryLimitBytes").convert<Poco::Int64>() == 268435456);
  CHECK(at(text, "pids").convert<int>() >= 1);
  engine().client().remove(call.abi(), ref, MOS_REMOVE_FORCE | MOS_REMOVE_UNUSED_NETWORKS);
}

TEST_CASE("events tell what happens, to these labels alone, until cancelled") {
  const Within call;
  std::mutex mutex;
  std::vector<std::string> types;
  const std::string name = engine().unique("events");
  Within watching;
  mos_status status = MOS_OK;
  std::thread watcher([&] {
    const std::string labels = R"({"matrixos.install-id": ")" + engine().settings().installId + "\"}";
    status = guarded(nullptr, [&] {
      engine().client().events(watching.abi(), labels, [&](std::string_view item) {
        const std::lock_guard lock(mutex);
        if (at(std::string(item), "name").toString() == name) types.push_back(at(std::string(item), "type").toString());
        return true;
      });
    });
  });
  const std::string ref = create("events", {"/tenant", "serve", "4000"});
  engine().client().start(call.abi(), ref);
  engine().api().disconnectNetwork(Call(call.abi()), engine().unique("net-stream"), ref);
  engine().client().start(call.abi(), ref); // connects it again
  engine().client().pause(call.abi(), ref);
  engine().client().unpause(call.abi(), ref);
  engine().client().stop(call.abi(), ref, std::chrono::seconds{2});
  engine().client().remove(call.abi(), ref, MOS_REMOVE_UNUSED_NETWORKS);
  const auto seen = [&](const std::string &type) {
    const std::lock_guard lock(mutex);
    return std::find(types.begin(), types.end(), type) != types.end();
  };
  for (const char *type : {"created", "started", "disconnected", "paused", "unpaused", "died", "removed"}) {
    CAPTURE(type);
    CHECK(eventually([&] { return seen(type); }));
  }
  watching.cancel();
  watcher.join();
  CHECK(status == MOS_CANCELLED);
}
