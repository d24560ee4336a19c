// How often a cold wake writes and reads the instance's record.
#include "EchoInstance.h"
#include "EdgePlatform.h"
#include "Regulars.h"
#include "integration/runtime-simulated/SimulatedPlatform.h"

#include <doctest/doctest.h>

#include <fstream>
#include <string>
#include <utility>
#include <vector>

using namespace matrixos::test;

namespace {

/// What MATRIXOS_TALLY gathers (matrixos/tally.hpp).
struct Counts {
  int written = 0;         ///< by the orchestrator
  int readByLifecycle = 0; ///< whole records
  int readByProxy = 0;

  bool operator==(const Counts &) const = default;
  Counts operator-(const Counts &other) const {
    return {written - other.written, readByLifecycle - other.readByLifecycle, readByProxy - other.readByProxy};
  }
};

doctest::String toString(const Counts &counts) {
  return (std::to_string(counts.written) + " written, " + std::to_string(counts.readByLifecycle) +
          " read by lifecycle, " + std::to_string(counts.readByProxy) + " by the proxy")
      .c_str();
}

/// A daemon that counts.
class CountedPlatform {
public:
  explicit CountedPlatform(DaemonProcess::Values values) : platform_(std::move(values)) {
    CHECK(platform_.daemon.stop() == 0);
    platform_.daemon.launch({"env", "MATRIXOS_TALLY=" + file_.string()});
    REQUIRE(platform_.daemon.waitUntilServing());
  }
  SimulatedPlatform *operator->() { return &platform_; }

  Counts counts() const {
    std::ifstream lines(file_);
    Counts counts;
    for (std::string line; std::getline(lines, line);) {
      const auto is = [&](const char *plugin, const char *what) {
        return line.rfind(plugin, 0) == 0 && line.find(what) != std::string::npos;
      };
      counts.written += is("orchestrator", " record written") ? 1 : 0;
      counts.readByLifecycle += is("lifecycle", " record read") ? 1 : 0;
      counts.readByProxy += is("proxy", " record read") ? 1 : 0;
    }
    return counts;
  }
  /// Once both who watch have read as much as was written.
  Counts settled() const {
    CHECK(eventually([&] {
      const Counts now = counts();
      return now.written == now.readByLifecycle && now.written == now.readByProxy;
    }));
    return counts();
  }

private:
  TempDir dir_;
  std::filesystem::path file_ = dir_.path() / "tally";
  SimulatedPlatform platform_;
};

/// Stops alice, and has `count` requests wait for her until she answers.
void wake(CountedPlatform &platform, EchoInstance &instance, std::size_t count) {
  instance.shut();
  Crowd crowd(platform->daemon.proxyPort());
  std::vector<CrowdClient *> clients;
  for (std::size_t i = 0; i < count; ++i)
    clients.push_back(&crowd.add(getRequest("alice", "n" + std::to_string(i))));
  REQUIRE(crowd.until(
      [&] { return metric(platform->daemon, "matrixos_proxy_waiting_requests") == static_cast<double>(count); }));
  instance.open();
  std::size_t served = 0;
  CHECK(crowd.until([&] {
    for (CrowdClient *client : clients) {
      if (const auto answer = client->takeResponse()) served += answer->status == 200 ? 1 : 0;
    }
    return served == count;
  }));
}

} // namespace

TEST_CASE(
    "a wake is two revisions of the record: each is written once and read once by each who watches, whoever waits") {
  EchoInstance instance;
  CountedPlatform platform({{"runtime-simulated.backend", "127.0.0.1:" + std::to_string(instance.port())}});
  REQUIRE(platform->provision("alice").status == 201);
  for (const std::size_t waiters : {1, 2, 64}) {
    CAPTURE(waiters);
    REQUIRE(platform->daemon.api("POST", "/containers/alice/stop").status == 200);
    const Counts before = platform.settled();
    wake(platform, instance, waiters);
    // The engine is at work; it runs.
    CHECK(platform.settled() - before == Counts{2, 2, 2});
  }
}
