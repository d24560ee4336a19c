// Sixteen instances that restart, sleep, move and take over each other's ports while many clients talk to all of them:
// every answer is that of the instance it was asked of, to the very request that asked.
#include "EdgePlatform.h"
#include "StampedInstance.h"
#include "Visitor.h"

#include <doctest/doctest.h>
#include <support/Wait.h>

#include <chrono>
#include <thread>

using namespace matrixos::test;

namespace {

#ifdef MATRIXOS_INSTRUMENTED
constexpr std::size_t kVisits = 4'000, kChanges = 150;
#else
constexpr std::size_t kVisits = 40'000, kChanges = 1'000;
#endif
constexpr std::size_t kInstances = 16;
constexpr unsigned kVisitors = 24;

/// The control plane, seen from below: it publishes that an instance leaves an address before another one takes it.
class Turmoil {
public:
  explicit Turmoil(unsigned seed);

  DaemonProcess &daemon() { return platform_->daemon; }
  std::vector<std::string> handles() const;
  /// Something happens to one or two of the instances.
  void change();
  std::size_t changes() const { return swaps + moves + restarts + crashes + sleeps; }
  /// "", or the first request that reached an instance it was not meant for.
  std::string foreign() const;

  std::size_t swaps = 0, moves = 0, restarts = 0, crashes = 0, sleeps = 0;

private:
  using Instance = StampedInstance;
  Instance &any() { return *instances_[random_() % instances_.size()]; }
  void tell(const Instance &instance, const char *status);
  void swap(Instance &a, Instance &b);
  void move(Instance &instance);

  std::mt19937_64 random_;
  std::vector<std::unique_ptr<Instance>> instances_;
  std::vector<std::uint16_t> freed_; // ports that were another's a moment ago
  std::unique_ptr<EdgePlatform> platform_;
};

Turmoil::Turmoil(unsigned seed) : random_(seed) {
  std::string running;
  for (std::size_t i = 0; i < kInstances; ++i) {
    instances_.push_back(std::make_unique<Instance>("tenant" + std::to_string(i)));
    instances_.back()->listen(freePort(), freePort());
    running += (i == 0 ? "" : ", ") + instances_.back()->handle() + ":" + std::to_string(instances_.back()->shell());
  }
  platform_ =
      std::make_unique<EdgePlatform>(DaemonProcess::Values{{"fixed-instances.running", running}, {"proxy.loops", "2"}});
  for (const auto &instance : instances_)
    tell(*instance, "running"); // with the ports of both endpoints
}

std::vector<std::string> Turmoil::handles() const {
  std::vector<std::string> out;
  for (const auto &instance : instances_)
    out.push_back(instance->handle());
  return out;
}

std::string Turmoil::foreign() const {
  for (const auto &instance : instances_) {
    if (const std::string found = instance->foreign(); !found.empty()) return found;
  }
  return {};
}

void Turmoil::tell(const Instance &instance, const char *status) {
  const Response told = platform_->daemon.api("PUT", "/fixed-instances/" + instance.handle() + "?status=" + status +
                                                         "&shell=" + std::to_string(instance.shell()) +
                                                         "&gateway=" + std::to_string(instance.gateway()));
  if (told.status != 200) throw std::runtime_error("the control plane said " + std::to_string(told.status) + told.body);
}

void Turmoil::swap(Instance &a, Instance &b) {
  tell(a, "held");
  tell(b, "held");
  a.leavePorts();
  b.leavePorts();
  // Now and then their old connections live on, and the pool still has them.
  if (random_() % 2 == 0) a.hangUp();
  if (random_() % 2 == 0) b.hangUp();
  const std::uint16_t shell = a.shell(), gateway = a.gateway();
  a.listen(b.gateway(), b.shell());
  b.listen(shell, gateway);
  tell(a, "running");
  tell(b, "running");
  ++swaps;
}

/// Without having been away: what it leaves is taken by the next that moves.
void Turmoil::move(Instance &instance) {
  const std::uint16_t shell = instance.shell(), gateway = instance.gateway();
  while (freed_.size() < 2)
    freed_.push_back(freePort());
  const std::uint16_t to[2] = {freed_[0], freed_[1]};
  freed_.erase(freed_.begin(), freed_.begin() + 2);
  instance.listen(to[0], to[1]);
  tell(instance, "running");
  freed_.push_back(gateway);
  freed_.push_back(shell);
  ++moves;
}

void Turmoil::change() {
  Instance &one = any();
  switch (random_() % 6) {
  case 0:
  case 1: {
    Instance &other = any();
    if (&one != &other) swap(one, other);
    return;
  }
  case 2:
    return move(one);
  case 3: // as a restart through the platform
    tell(one, "held");
    one.hangUp();
    tell(one, "running");
    ++restarts;
    return;
  case 4: // dies and comes back before anybody has noticed
    one.leavePorts();
    one.hangUp();
    one.listen(one.shell(), one.gateway());
    ++crashes;
    return;
  default: // sleeps until the next request, and takes its time then
    tell(one, "stopped");
    one.leavePorts();
    one.hangUp();
    std::this_thread::sleep_for(std::chrono::milliseconds(random_() % 20));
    one.listen(one.shell(), one.gateway());
    ++sleeps;
  }
}

/// Many visits while much happens.
void talk(Turmoil &turmoil, Visits &visits, std::size_t least, std::size_t changes) {
  const std::size_t until = turmoil.changes() + changes;
  talk(turmoil.daemon().proxyPort(), turmoil.handles(), kVisitors, visits, least, [&] {
    turmoil.change();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return turmoil.changes() < until;
  });
}

} // namespace

TEST_CASE("answers stay with their instance while instances restart, sleep, move and swap ports") {
  const auto seed = static_cast<unsigned>(std::random_device{}());
  CAPTURE(seed);
  Turmoil turmoil(seed);
  DaemonProcess &daemon = turmoil.daemon();
  Visits visits;
  const std::size_t idle = descriptors(daemon);
  const auto isIdle = [&] { return descriptors(daemon) <= idle; };
  talk(turmoil, visits, kVisits / 4, kChanges / 4); // for the pools to fill up
  CHECK(eventually(isIdle));
  const double heap = metric(daemon, "process_heap_bytes");
  const std::size_t before = visits.whole + visits.unavailable + visits.broken;
  talk(turmoil, visits, kVisits, kChanges);
  CHECK(eventually(isIdle));
  const double stays = (metric(daemon, "process_heap_bytes") - heap) /
                       static_cast<double>(visits.whole + visits.unavailable + visits.broken - before);
  MESSAGE(visits.whole.load() << " whole answers of " << visits.boots() << " lives, " << visits.frames.load()
                              << " frames, " << visits.unavailable.load() << " times 502, 503 or 504, "
                              << visits.broken.load() << " broken off; " << turmoil.swaps << " swaps of ports, "
                              << turmoil.moves << " moves, " << turmoil.restarts << " restarts, " << turmoil.crashes
                              << " crashes, " << turmoil.sleeps << " sleeps; bytes that stay of each visit: " << stays);
  CHECK(visits.wrong == 0);
  CHECK(visits.firstComplaint() == "");
  CHECK(turmoil.foreign() == "");
  CHECK(visits.whole > kVisits / 4);
  CHECK(visits.frames > 0);
  CHECK(stays < 100);
  CHECK(daemon.stop() == 0);
}
