#include <doctest/doctest.h>
#include <proxy/StartupThrottle.h>

#include <array>
#include <chrono>

using namespace std::chrono_literals;
using matrixos::proxy::StartupThrottle;

TEST_CASE("a few are in at a time, and each that leaves lets the next one in") {
  StartupThrottle throttle(1h);
  std::array<int, 10> people{};
  int entered = 0;
  for (std::size_t i = 0; i < people.size(); ++i)
    CHECK(throttle.enter(&people[i], [&entered] { ++entered; }) == (i < StartupThrottle::kAtOnce));
  CHECK(entered == 0);
  throttle.leave(&people[7]); // goes away outside
  CHECK(entered == 0);
  throttle.leave(&people[0]);
  CHECK(entered == 1);
  throttle.leave(&people[0]); // unknown now
  CHECK(entered == 1);
  CHECK(throttle.enterAnyway(&people[8]) > 0ms); // still outside
  for (std::size_t i = 1; i < people.size(); ++i)
    throttle.leave(&people[i]);
  CHECK(entered == 3); // the sixth, the eighth and the ninth of those who came
  CHECK(throttle.enter(&people[0], [] {}));
}

TEST_CASE("who takes its time inside does not keep the others outside") {
  StartupThrottle throttle(0ms);
  std::array<int, 8> people{};
  int entered = 0;
  for (int &one : people)
    throttle.enter(&one, [&entered] { ++entered; });
  CHECK(throttle.enterAnyway(&people[7]) == 0ms);
  CHECK(throttle.enterAnyway(&people[6]) == 0ms);
  throttle.leave(&people[0]); // nobody is outside any more
  CHECK(entered == 0);
}
