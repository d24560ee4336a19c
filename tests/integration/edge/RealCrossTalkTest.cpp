// The same with the platform's own orchestrator and instances that are processes: they are stopped, die, and are
// deleted and made anew in another order, so that they have each other's ports.
#include "Visitor.h"

#include <doctest/doctest.h>
#include <support/DaemonProcess.h>

#include <filesystem>

using namespace matrixos::test;

namespace {

#ifdef MATRIXOS_INSTRUMENTED
constexpr std::size_t kVisits = 1'500, kChanges = 15;
#else
constexpr std::size_t kVisits = 10'000, kChanges = 60;
#endif
constexpr std::size_t kInstances = 6;
constexpr unsigned kVisitors = 12;

class RealInstances {
public:
  explicit RealInstances(unsigned seed);
  ~RealInstances();

  DaemonProcess &daemon() { return *daemon_; }
  const std::vector<std::string> &handles() const { return handles_; }
  void change();
  std::size_t changes() const { return stops + crashes + swaps; }

  std::size_t stops = 0, crashes = 0, swaps = 0;

private:
  const std::string &any() { return handles_[random_() % handles_.size()]; }
  /// Of the shell of an instance.
  std::string port(const std::string &handle) const;
  void make(const std::string &handle);
  void remove(const std::string &handle);
  void swap(const std::string &a, const std::string &b);

  std::mt19937_64 random_;
  std::vector<std::string> handles_;
  std::unique_ptr<DaemonProcess> daemon_;
};

RealInstances::RealInstances(unsigned seed) : random_(seed) {
  const int port = freePort();
  daemon_ = std::make_unique<DaemonProcess>(DaemonProcess::Values{
      {"plugins.enabled", "runtime-process, orchestrator, lifecycle, proxy"},
      {"orchestrator.runtime", "process"},
      {"orchestrator.gateway_base_port", std::to_string(port)},
      {"orchestrator.shell_base_port", std::to_string(port + 60)},
      {"orchestrator.ports_per_range", "50"},
      {"orchestrator.stop_grace", "2s"},
      {"proxy.loops", "2"},
      {"runtime-process.command", "exec \"" + (buildDir() / "tests/stamped-instance").string() + "\""}});
  daemon_->start();
  for (std::size_t i = 0; i < kInstances; ++i) {
    handles_.push_back(uniqueHandle("talk" + std::to_string(i)));
    make(handles_.back());
  }
}

RealInstances::~RealInstances() {
  if (!daemon_->running()) return;
  for (const std::string &handle : handles_)
    daemon_->api("DELETE", "/containers/" + handle);
}

void RealInstances::make(const std::string &handle) {
  const Response made = daemon_->api("POST", "/containers/provision",
                                     R"({"handle":")" + handle + R"(","clerkUserId":"user_)" + handle + R"("})");
  if (made.status / 100 != 2) throw std::runtime_error("provision: " + std::to_string(made.status) + made.body);
}

void RealInstances::remove(const std::string &handle) {
  const Response gone = daemon_->api("DELETE", "/containers/" + handle);
  if (gone.status / 100 != 2) throw std::runtime_error("delete: " + std::to_string(gone.status) + gone.body);
}

std::string RealInstances::port(const std::string &handle) const {
  return member(daemon_->api("GET", "/containers/" + handle).body, "shellPort");
}

/// What is made next takes the lowest ports that are free.
void RealInstances::swap(const std::string &a, const std::string &b) {
  const std::string portOfA = port(a), portOfB = port(b);
  remove(a);
  remove(b);
  make(portOfA < portOfB ? b : a);
  make(portOfA < portOfB ? a : b);
  if (port(a) == portOfB && port(b) == portOfA) ++swaps;
}

void RealInstances::change() {
  const std::string one = any(), other = any();
  switch (random_() % 3) {
  case 0:
    if (one != other) swap(one, other);
    return;
  case 1:
    daemon_->api("POST", "/containers/" + one + "/stop");
    ++stops;
    return;
  default:
    request(daemon_->proxyPort(), "GET", "/", {{"Host", one + ".localhost"}, {"X-For", one}, {"X-Exit", "1"}});
    ++crashes;
  }
}

} // namespace

TEST_CASE("the same with real processes behind a real orchestrator") {
  const auto seed = static_cast<unsigned>(std::random_device{}());
  CAPTURE(seed);
  RealInstances instances(seed);
  Visits visits;
  visits.mayBeGone = true;
  talk(instances.daemon().proxyPort(), instances.handles(), kVisitors, visits, kVisits, [&] {
    instances.change();
    return instances.changes() < kChanges || instances.swaps == 0;
  });
  MESSAGE(visits.whole.load() << " whole answers of " << visits.boots() << " lives, " << visits.frames.load()
                              << " frames, " << visits.unavailable.load() << " times 502, 503 or 504, "
                              << visits.gone.load() << " times 404, " << visits.broken.load() << " broken off; "
                              << instances.stops << " stops, " << instances.crashes << " crashes, " << instances.swaps
                              << " swaps of ports");
  CHECK(visits.wrong == 0);
  CHECK(visits.firstComplaint() == "");
  CHECK(visits.whole > kVisits / 10);
  CHECK(visits.boots() > kInstances);
}
