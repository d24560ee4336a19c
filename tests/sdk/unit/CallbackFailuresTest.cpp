#include "support/FakeHost.h"
#include "support/Wait.h"

#include <matrixos/host/executor.hpp>
#include <matrixos/host/timers.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>

using namespace matrixos;
using namespace matrixos::test;
using namespace std::chrono_literals;

namespace {

/// With an executor that runs each task at once.
class ExecutingHost : public FakeHost {
public:
  ExecutingHost() {
    executor_.struct_size = sizeof executor_;
    executor_.submit = [](void *, void (*run)(void *), void (*)(void *), void *ctx, mos_error *) -> mos_status {
      run(ctx);
      return MOS_OK;
    };
  }

protected:
  const void *find(std::string_view id) const override {
    return id == MOS_HOST_EXECUTOR_1 ? &executor_ : FakeHost::find(id);
  }

private:
  mos_host_executor_v1 executor_{};
};

} // namespace

TEST_CASE("what a timer throws is logged, the more seldom the more often it happens") {
  FakeHost host;
  Timers timers(host.abi());
  std::atomic<int> turns{0};
  timers.every(1ms, [&] {
    ++turns;
    throw std::runtime_error("on purpose");
  });
  REQUIRE(eventually([&] { return turns >= 20; }));
  timers.cancelAll();
  const auto lines = host.lines("a timer threw an exception: on purpose");
  std::size_t expected = 0;
  for (int at = 1; at <= turns; at *= 2)
    ++expected;
  CHECK(lines.size() == expected);
  REQUIRE(lines.size() >= 2);
  CHECK(lines[1].fields.at("timesSoFar") == "2");
}

TEST_CASE("what a task throws is logged") {
  ExecutingHost host;
  const Executor executor(host.abi());
  executor.submit([] { throw Error(Status::NotFound, "nothing there"); });
  executor.submit([] { throw 42; });
  executor.submit([] {});
  CHECK(host.log() == "a task threw an exception: nothing there\na task threw an exception: unknown exception\n");
}
