// A thousand reloads and a thousand times disable and enable, under traffic: nothing fails that need not, and nothing
// grows but what has to. Grows by design: the mappings (a copy of the plugin's code and variables each), and what the
// dynamic loader keeps of each library, which is measured here with the loader alone and taken off.
#include "ChangingDaemon.h"
#include "support/Wait.h"

#include <dlfcn.h>
#include <doctest/doctest.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <sstream>
#include <thread>

using namespace matrixos::test;
namespace fs = std::filesystem;

namespace {

constexpr int kRounds = 1000;
constexpr int kWarmUp = 100;
/// Afterwards, without traffic, for the sake of exact figures.
constexpr int kQuietRounds = 300;

/// What must not grow.
struct Footprint {
  std::size_t fds = 0, threads = 0, mappedCopies = 0;
  double heapBytes = 0;
};

/// Threads that come with the traffic and stay for a while: the API's workers (without a name of their own) and the
/// executor's.
bool isPooled(const std::string &thread) {
  return thread == "matrixosd\n" || thread == "executor\n";
}

double valueOf(const std::string &metrics, const std::string &name) {
  const std::size_t at = metrics.find("\n" + name + " ");
  return at == std::string::npos ? -1 : std::stod(metrics.substr(at + name.size() + 2));
}

Footprint measure(ChangingDaemon &changing) {
  const std::string metrics = changing.daemon().api("GET", "/metrics").body;
  const std::string proc = "/proc/" + std::to_string(changing.daemon().process().pid());
  Footprint found;
  found.heapBytes = valueOf(metrics, "process_heap_bytes");
  const auto count = [](const fs::path &folder, auto &&counts) {
    std::error_code error; // what has ended meanwhile does not count
    std::size_t number = 0;
    for (const auto &entry : fs::directory_iterator(folder, error))
      number += counts(entry.path()) ? 1 : 0;
    return number;
  };
  found.fds = count(proc + "/fd", [](const fs::path &) { return true; });
  found.threads = count(proc + "/task", [](const fs::path &task) { return !isPooled(readFile(task / "comm")); });
  std::istringstream maps(readFile(proc + "/maps"));
  for (std::string line; std::getline(maps, line);) {
    if (line.find("/changing.") != std::string::npos && line.find(" r-xp ") != std::string::npos) ++found.mappedCopies;
  }
  return found;
}

/// What glibc's loader allocates for one more copy of the plugin, beyond as many as the daemon has loaded by its quiet
/// rounds: it also keeps lists with each library that they need, which double now and then.
double loaderBytesPerCopy() {
  const TempDir dir;
  std::size_t before = 0;
  for (int i = -kWarmUp - kRounds; i < kQuietRounds; ++i) {
    if (i == 0) before = ::mallinfo2().uordblks;
    const fs::path copy = dir / ("copy" + std::to_string(i) + ".so");
    fs::copy_file(ChangingDaemon::fileOf(1 + (i & 1)), copy);
    void *library = ::dlopen(copy.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    REQUIRE((library != nullptr));
    ::dlclose(library);
  }
  return static_cast<double>(::mallinfo2().uordblks - before) / kQuietRounds;
}

/// Asks for one path again and again, and remembers what it was told.
class Client {
public:
  Client(const DaemonProcess &daemon, std::string path)
      : path_(std::move(path)), thread_([this, &daemon] {
          while (!stop_)
            ask(daemon);
        }) {}
  ~Client() { stop(); }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  const std::string &path() const { return path_; }
  int served() const { return served_; }
  int unavailable() const { return unavailable_; }
  /// After stop(): the first answer that was neither.
  const std::string &odd() const { return odd_; }

private:
  void ask(const DaemonProcess &daemon) {
    try {
      const Response response = daemon.api("GET", path_);
      if (response.status == 200)
        ++served_;
      else if (response.status == 503)
        ++unavailable_;
      else if (odd_.empty())
        odd_ = std::to_string(response.status) + " " + response.body;
    } catch (const std::exception &e) {
      if (odd_.empty()) odd_ = e.what();
    }
  }

  const std::string path_;
  std::atomic<bool> stop_{false};
  std::atomic<int> served_{0}, unavailable_{0};
  std::string odd_;
  std::thread thread_;
};

void reloadRound(ChangingDaemon &changing, int round) {
  const int version = 1 + round % 2;
  if (round % 4 < 2)
    changing.replace(version);
  else
    changing.overwrite(version);
  const Response reloaded = changing.reload();
  CAPTURE(reloaded.body);
  REQUIRE(reloaded.status == 200);
  REQUIRE(changing.answer("version") == std::to_string(version) + ".0.0");
  REQUIRE(changing.answer("lives") == "1");
}

void switchRound(ChangingDaemon &changing, int) {
  REQUIRE(changing.daemon().api("POST", "/plugins/changing/disable").status == 200);
  REQUIRE(changing.answer("version") == "503");
  REQUIRE(changing.daemon().api("POST", "/plugins/changing/enable").status == 200);
  REQUIRE(changing.answer("version") != "503");
}

/// The rounds, under traffic; every plugin's routes but the changing one's answer throughout.
void underTraffic(ChangingDaemon &changing, int rounds, void (*round)(ChangingDaemon &, int)) {
  const DaemonProcess &daemon = changing.daemon();
  Client replaced(daemon, "/changing"), consumer(daemon, "/consuming"), other(daemon, "/steady");
  Client reports(daemon, "/plugins/changing"), core(daemon, "/health");
  for (int i = 0; i < rounds; ++i)
    round(changing, i);
  for (Client *client : {&replaced, &consumer, &other, &reports, &core}) {
    client->stop();
    CAPTURE(client->path());
    CHECK(client->odd() == "");
    CHECK(client->served() > rounds / 10);
    const bool mayMiss = client == &replaced || client == &consumer;
    if (!mayMiss) CHECK(client->unavailable() == 0);
    MESSAGE(client->path() << ": " << client->served() << " answers, " << client->unavailable() << " times 503");
  }
}

/// Once the connections of the traffic and of the measurement itself have gone.
Footprint settled(ChangingDaemon &changing, const Footprint &idle) {
  Footprint found;
  eventually(
      [&] {
        found = measure(changing);
        return found.fds <= idle.fds && found.threads <= idle.threads;
      },
      std::chrono::seconds{15});
  return found;
}

} // namespace

TEST_CASE("a thousand reloads, a thousand times disable and enable: nothing fails, nothing grows") {
  // What a thread keeps for its next malloc counts as handed out, and how many threads there are is up to the traffic.
  ::setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 1);
  ChangingDaemon changing;
  changing.daemon().start();
  const Footprint idle = measure(changing);
  underTraffic(changing, kWarmUp, reloadRound);
  underTraffic(changing, kWarmUp, switchRound);
  const Footprint start = settled(changing, idle);
  underTraffic(changing, kRounds, reloadRound);
  const Footprint reloaded = settled(changing, idle);
  underTraffic(changing, kRounds, switchRound);
  const Footprint switched = settled(changing, idle);
  // What grows with each round does so twice; a table that is enlarged once in a while does not.
  for (int round = 0; round < kQuietRounds; ++round)
    reloadRound(changing, round);
  const Footprint halfReloaded = settled(changing, idle);
  for (int round = 0; round < kQuietRounds; ++round)
    reloadRound(changing, round);
  const Footprint quietReloaded = settled(changing, idle);
  for (int round = 0; round < kQuietRounds; ++round)
    switchRound(changing, round);
  const Footprint quietSwitched = settled(changing, idle);

  for (const Footprint &now : {start, reloaded, switched, quietReloaded, quietSwitched}) {
    CHECK(now.fds <= idle.fds);
    CHECK(now.threads <= idle.threads);
  }
  CHECK(reloaded.mappedCopies == start.mappedCopies + kRounds);
  CHECK(switched.mappedCopies == reloaded.mappedCopies);
  const double loader = loaderBytesPerCopy();
  const auto growth = [](const Footprint &from, const Footprint &to, int rounds) {
    return (to.heapBytes - from.heapBytes) / rounds;
  };
  const double perReload =
      std::min(growth(switched, halfReloaded, kQuietRounds), growth(halfReloaded, quietReloaded, kQuietRounds));
  const double perSwitch = growth(quietReloaded, quietSwitched, kQuietRounds);
  MESSAGE("bytes of heap that stay: " << perReload << " of a reload, of which the loader keeps " << loader << "; "
                                      << perSwitch << " of disable and enable");
  CHECK(perReload - loader < 200);
  CHECK(perSwitch < 100);
  // Under traffic, buffers of more connections than before count, too: a few hundred KB in all.
  CHECK(growth(start, reloaded, kRounds) - loader < 2000);
  CHECK(growth(reloaded, switched, kRounds) < 2000);
  CHECK(changing.daemon().stop() == 0);
}
