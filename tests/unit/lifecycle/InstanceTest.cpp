#include "Fakes.h"

#include <doctest/doctest.h>
#include <lifecycle/InstanceIndex.h>

#include <algorithm>

using namespace matrixos::lifecycle;
using namespace matrixos::lifecycle::test;
using matrixos::Error;

TEST_CASE("a record is read with its endpoints, those of the bridge first") {
  const InstanceView view =
      parseInstance(record("alice", "running", 7, 3,
                           "[" + endpoint("gateway", "e1", 4001, "host") + "," +
                               endpoint("gateway", "e1", 4000, "bridge") + "," + endpoint("shell", "e1", 3000) + "]"));
  CHECK(view.handle == "alice");
  CHECK(view.rev == 7);
  CHECK(view.activitySeq == 3);
  CHECK(view.running());
  const auto targets = view.targets("gateway");
  REQUIRE(targets.size() == 2);
  CHECK(targets[0].port == 4000);
  CHECK(targets[1].port == 4001);
  CHECK(view.targets("other").empty());
}

TEST_CASE("records that make no sense are refused, unknown words are not") {
  CHECK_THROWS_AS(parseInstance("[]"), Error);
  CHECK_THROWS_AS(parseInstance("{}"), Error);
  CHECK_THROWS_AS(parseInstance(R"({"handle":"alice","status":5})"), Error);
  CHECK_THROWS_AS(parseInstance(record("alice", "running", 1, 0, "[" + endpoint("shell", "e", 70000) + "]")), Error);
  CHECK(parseInstance(record("alice", "levitating", 1)).status == InstanceStatus::Unknown);
  CHECK(parseInstance(R"({"handle":"alice","status":"deleted","rev":9,"id":"x"})").gone());
}

TEST_CASE("the index keeps the newest record") {
  InstanceIndex index;
  CHECK(index.apply(parseInstance(record("alice", "stopped", 5))).accepted);
  CHECK_FALSE(index.apply(parseInstance(record("alice", "running", 4))).accepted);
  CHECK(index.status("alice") == InstanceStatus::Stopped);
  CHECK(index.apply(parseInstance(record("alice", "running", 6))).accepted);
  CHECK_FALSE(index.apply(parseInstance(record("alice", "running", 7))).activityMoved);
  CHECK(index.apply(parseInstance(record("alice", "running", 8, 1))).activityMoved);
  CHECK(index.status("alice") == InstanceStatus::Running);
  CHECK_FALSE(index.apply(parseInstance(R"({"handle":"alice","status":"deleted","rev":2})")).removed);
  CHECK(index.apply(parseInstance(R"({"handle":"alice","status":"deleted","rev":9})")).removed);
  CHECK_FALSE(index.status("alice").has_value());
  CHECK(index.size() == 0);
}
