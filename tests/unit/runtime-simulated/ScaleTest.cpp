/// Many instances. The figures are printed, not judged: they belong to the machine and its other work. For a hundred
/// thousand:  MATRIXOS_INSTANCES=100000 build/release/tests/unit-runtime-simulated-many -tc='many instances*'
#include "Rig.h"
#include "support/TempDir.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>

using namespace matrixos;
using namespace matrixos::simulated;
using namespace matrixos::simulated::test;

namespace {

/// MATRIXOS_INSTANCES, or few enough for a test that is run all the time.
int instancesWanted() {
  const char *wanted = std::getenv("MATRIXOS_INSTANCES");
  return wanted != nullptr ? std::clamp(std::atoi(wanted), 5'000, 130'000) : 10'000;
}

std::size_t residentBytes() {
  std::size_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

/// Prints how long it took on the clock, and what this process worked for it: other work of the machine only shows in
/// the first.
template <typename Body>
void timed(const char *what, std::size_t calls, Body body) {
  const auto begin = std::chrono::steady_clock::now();
  const std::clock_t workedBefore = std::clock();
  body();
  const double worked = static_cast<double>(std::clock() - workedBefore) * 1000 / CLOCKS_PER_SEC;
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  std::printf("  %-44s %9.1f ms %9.1f ms CPU %9.2f us each\n", what, took.count(), worked,
              worked * 1000 / static_cast<double>(calls));
}

std::string nameOf(int number) {
  std::string digits = std::to_string(number);
  return "matrixos-u" + std::string(6 - digits.size(), '0') + digits;
}

/// As the orchestrator writes them.
std::string specOf(int number) {
  char text[1400];
  std::snprintf(
      text, sizeof text,
      R"({"name":"matrixos-u%06d","image":"demo:1","env":{"MATRIX_HANDLE":"u%06d","PROXY_URL":"http://proxy:8080",)"
      R"("PORT":"4000","SHELL_PORT":"3000","GATEWAY_EXTERNAL_URL":"https://u%06d.matrix-os.com"},)"
      R"("memoryBytes":268435456,"cpus":0.5,"pidsLimit":256,"restart":"unless-stopped","hostAliases":["proxy"],)"
      R"("networks":[{"name":"matrixos-net","driver":"bridge"}],"ports":[{"name":"gateway","containerPort":4000},)"
      R"({"name":"shell","containerPort":3000}],"labels":{"matrixos.managed":"true",)"
      R"("matrixos.install-id":"01HZZZZZZZZZZZZZZZZZZZZZZZ","matrixos.instance-id":"01J00000000000000000%06d",)"
      R"("matrixos.handle":"u%06d","matrixos.generation":"1",)"
      R"("matrixos.spec-hash":"0123456789abcdef0123456789abcdef01%06d","matrixos.operation-id":"01J11111111111111111%06d"}})",
      number, number, number, number, number, number, number);
  return text;
}

} // namespace

TEST_CASE("many instances: made, started, listed, filtered, found, loaded") {
  const matrixos::test::TempDir dir;
  EngineOptions options;
  options.stateDir = dir / "state";
  const int instances = instancesWanted();
  const auto count = static_cast<std::size_t>(instances);
  std::printf("%d instances\n", instances);
  std::string sample;
  {
    Rig rig(options);
    rig.pull();
    CallScope scope(std::chrono::hours{1});
    const mos_call *call = scope.abi();
    const std::size_t before = residentBytes();
    timed("create", count, [&] {
      for (int i = 0; i < instances; ++i)
        rig.client.create(call, specOf(i));
    });
    timed("start", count, [&] {
      for (int i = 0; i < instances; ++i)
        rig.client.start(call, nameOf(i));
    });
    std::printf("  %-44s %9zu bytes each\n", "memory", (residentBytes() - before) / count);
    std::size_t seen = 0, bytes = 0;
    const auto take = [&](std::string_view item) {
      ++seen;
      bytes += item.size();
      return true;
    };
    timed("list all", count, [&] { rig.client.list(call, "{}", take); });
    CHECK(seen == count);
    std::printf("  %-44s %9zu bytes each\n", "description", bytes / count);
    seen = 0;
    const std::string mine = R"({"matrixos.install-id":"01HZZZZZZZZZZZZZZZZZZZZZZZ"})";
    timed("list by install id, first time", count, [&] { rig.client.list(call, mine, take); });
    timed("list by install id", count, [&] { rig.client.list(call, mine, take); });
    CHECK(seen == 2 * count);
    seen = 0;
    timed("list by handle, first time (makes the index)", 1,
          [&] { rig.client.list(call, R"({"matrixos.handle":"u004321"})", take); });
    timed("list by handle", 1, [&] { rig.client.list(call, R"({"matrixos.handle":"u004322"})", take); });
    CHECK(seen == 2);
    timed("inspect by name", 10'000, [&] {
      for (int i = 0; i < 10'000; ++i)
        sample = rig.client.inspect(call, "matrixos-u004321");
    });
    timed("stop and start", 10'000, [&] {
      for (int i = 0; i < 5'000; ++i) {
        rig.client.stop(call, nameOf(4320 + i % 10), std::chrono::seconds{1});
        rig.client.start(call, nameOf(4320 + i % 10));
      }
    });
    sample = rig.client.inspect(call, "matrixos-u004321");
    std::printf("  %-44s %9.1f MB\n", "journal", static_cast<double>(rig.engine.journalBytes()) / 1e6);
  }
  const std::size_t before = residentBytes();
  std::unique_ptr<Rig> again;
  timed("load", count, [&] { again = std::make_unique<Rig>(options); });
  std::printf("  %-44s %9zu bytes each\n", "memory after the load", (residentBytes() - before) / count);
  CHECK(again->engine.counts()[1] == count);
  CHECK(again->client.inspect(again->call(), "matrixos-u004321") == sample);
  timed("remove", count, [&] {
    CallScope scope(std::chrono::hours{1});
    for (int i = 0; i < instances; ++i)
      again->client.remove(scope.abi(), nameOf(i), MOS_REMOVE_FORCE);
  });
  CHECK(again->list().empty());
}
