/// The daemon is killed at random moments while instances call through it. What the upstream wrote down is the truth.
#include "Audit.h"

#include <doctest/doctest.h>
#include <support/Wait.h>

#include <atomic>
#include <functional>
#include <iterator>
#include <mutex>
#include <random>
#include <set>
#include <system_error>
#include <thread>
#include <vector>

using namespace matrixos::test;

namespace {

/// Clients that call without a pause, and what they know of their calls.
class Callers {
public:
  explicit Callers(const GatewayPlatform &platform) : platform_(platform) {}

  /// Returns when the daemon has gone, which `kill` sees to once there are so many answers.
  void callUntilKilled(int answers, const std::function<void()> &kill) {
    answered_ = 0;
    ending_ = false;
    std::vector<std::thread> threads;
    for (int i = 0; i < kClients; ++i)
      threads.emplace_back([this, i] { callOnAndOn(i % 2 == 0 ? "alice" : "bob"); });
    CHECK(eventually([&] { return answered_ >= answers; }));
    ending_ = true;
    kill();
    for (std::thread &thread : threads)
      thread.join();
  }
  int asked() const noexcept { return last_; }
  /// Answered to the end before the same connection had its next answer, and so certainly over.
  const std::set<std::string> &over() const noexcept { return over_; }
  const std::set<std::string> &refusedUpstream() const noexcept { return refused_; }

private:
  static constexpr int kClients = 6;

  /// Bodies of all calls have the same length, so that the same is held for each.
  LabelledCall next(const std::string &handle) {
    const int n = ++last_;
    const std::string number = std::to_string(n);
    constexpr const char *kWays[] = {"text=9 pause=001", "text=3 first=003", "text=9 pause=000", "text=0 first=000",
                                     "status=000000400"};
    const auto way = static_cast<std::size_t>(n) % std::size(kWays);
    return {std::string(6 - number.size(), '0') + number,
            kWays[way] + (" input=" + std::to_string(100 + n % 200)) + " output=" + std::to_string(100 + n % 389),
            way % 2 == 0, handle};
  }

  void callOnAndOn(const std::string &handle) {
    try {
      RawConnection connection(platform_.port());
      std::string before;
      for (;;) {
        const LabelledCall call = next(handle);
        connection.send(call.request());
        const Response answer = connection.receiveResponse();
        if (answer.status == 0) break;
        CHECK_MESSAGE((answer.status == 200 || answer.status == 400), answer.body);
        ++answered_;
        const std::lock_guard lock(mutex_);
        if (!before.empty()) over_.insert(before);
        before = answer.status == 200 ? call.label : "";
        if (answer.status == 400) refused_.insert(call.label);
      }
    } catch (const std::system_error &) { // nobody listens
    }
    CHECK(ending_);
  }

  const GatewayPlatform &platform_;
  std::atomic<int> last_{0}, answered_{0};
  std::atomic<bool> ending_{false};
  std::mutex mutex_;
  std::set<std::string> over_, refused_;
};

/// What is held for one call of theirs; the daemon is killed with it.
std::int64_t holdOfOne(GatewayPlatform &platform) {
  RawConnection connection(platform.port());
  connection.send(LabelledCall{"000000", "first=9999999999 input=100 output=100"}.request());
  std::int64_t held = 0;
  CHECK(eventually([&] { return (held = picoOf(platform.admin("/usage/alice").body, "heldUsd")) != 0; }));
  platform.daemon.kill();
  return held;
}

void compare(const Callers &callers, const Audit &audit, std::int64_t hold) {
  int exact = 0, atHold = 0;
  for (const auto &[label, row] : audit.rows()) {
    const bool isExact = audit.isExact(label), isAtHold = row.partial && row.pico == hold;
    CHECK_MESSAGE((isExact || isAtHold), audit.tell(label));
    exact += isExact ? 1 : 0;
    atHold += isAtHold ? 1 : 0;
  }
  for (const auto &[label, bill] : audit.bills()) {
    CAPTURE(label);
    const Audit::Booked *row = audit.booked(label);
    REQUIRE(row != nullptr);
    CHECK(bill.pico <= row->pico);
  }
  for (const std::string &label : callers.over())
    CHECK_MESSAGE(audit.isExact(label), audit.tell(label));
  for (const std::string &label : callers.refusedUpstream())
    CHECK_MESSAGE(audit.owed(label) == nullptr, label);
  MESSAGE(callers.asked(), " calls: ", callers.over().size(), " certainly over, ", exact, " booked exactly, ", atHold,
          " at what was held");
}

} // namespace

TEST_CASE("killed 50 times while instances call, the daemon forgets nothing that is owed and books nothing twice") {
  GatewayPlatform platform;
  const std::int64_t hold = holdOfOne(platform);
  Callers callers(platform);
  std::minstd_rand random(20261130);
  const auto pause = [&random](unsigned mostMs) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % (mostMs * 1000)));
  };
  for (int kills = 1; kills < 50; ++kills) {
    CAPTURE(kills);
    if (random() % 4 == 0) { // anywhere between its first line and its first call
      platform.daemon.launch();
      pause(400);
      platform.daemon.kill();
      ++kills;
    }
    platform.daemon.start();
    const Audit rest(platform);
    for (const std::string &label : callers.over())
      REQUIRE(rest.booked(label) != nullptr);
    callers.callUntilKilled(static_cast<int>(random() % 60), [&] {
      pause(10);
      platform.daemon.kill();
    });
  }
  platform.daemon.start();
  compare(callers, Audit(platform), hold);
  CHECK(callers.over().size() > 200);
}
