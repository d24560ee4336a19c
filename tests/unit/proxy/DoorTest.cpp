#include <doctest/doctest.h>
#include <proxy/Door.h>

#include <array>
#include <chrono>

using namespace std::chrono_literals;
using matrixos::proxy::Door;

TEST_CASE("a few are in at a time, and each that leaves lets the next one in") {
  Door door(1h);
  std::array<int, 10> people{};
  int entered = 0;
  for (std::size_t i = 0; i < people.size(); ++i)
    CHECK(door.knock(&people[i], [&entered] { ++entered; }) == (i < Door::kAtOnce));
  CHECK(entered == 0);
  door.leave(&people[7]); // goes away outside
  CHECK(entered == 0);
  door.leave(&people[0]);
  CHECK(entered == 1);
  door.leave(&people[0]); // unknown now
  CHECK(entered == 1);
  CHECK(door.knockAgain(&people[8]) > 0ms); // still outside
  for (std::size_t i = 1; i < people.size(); ++i)
    door.leave(&people[i]);
  CHECK(entered == 3); // the sixth, the eighth and the ninth of those who knocked
  CHECK(door.knock(&people[0], [] {}));
}

TEST_CASE("who takes its time inside does not keep the others outside") {
  Door door(0ms);
  std::array<int, 8> people{};
  int entered = 0;
  for (int &one : people)
    door.knock(&one, [&entered] { ++entered; });
  CHECK(door.knockAgain(&people[7]) == 0ms);
  CHECK(door.knockAgain(&people[6]) == 0ms);
  door.leave(&people[0]); // nobody is outside any more
  CHECK(entered == 0);
}
