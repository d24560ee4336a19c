#include "Fakes.h"

#include <doctest/doctest.h>
#include <lifecycle/InstanceIndex.h>
#include <lifecycle/WakeCoordinator.h>

#include <algorithm>

using namespace matrixos::lifecycle;
using namespace matrixos::lifecycle::test;
using matrixos::InstanceRecord;
using matrixos::InstanceStatus;

TEST_CASE("endpoints to probe: those of the bridge first") {
  const auto read = InstanceRecord::parse(record("alice", "running", 7, 3,
                                                 "[" + endpoint("gateway", "e1", 4001, "host") + "," +
                                                     endpoint("gateway", "e1", 4000, "bridge") + "," +
                                                     endpoint("shell", "e1", 3000) + "]"));
  CHECK(read.handle == "alice");
  CHECK(read.rev == 7);
  CHECK(read.activitySeq == 3);
  CHECK(read.running());
  const auto targets = targetsOf(read, "gateway");
  REQUIRE(targets.size() == 2);
  CHECK(targets[0].port == 4000);
  CHECK(targets[1].port == 4001);
  CHECK(targetsOf(read, "other").empty());
}

TEST_CASE("the index keeps the newest record") {
  InstanceIndex index;
  CHECK(index.apply(InstanceRecord::parse(record("alice", "stopped", 5))).accepted);
  CHECK_FALSE(index.apply(InstanceRecord::parse(record("alice", "running", 4))).accepted);
  CHECK(index.find("alice")->status == InstanceStatus::Stopped);
  CHECK(index.apply(InstanceRecord::parse(record("alice", "running", 6))).accepted);
  CHECK_FALSE(index.apply(InstanceRecord::parse(record("alice", "running", 7))).activityMoved);
  CHECK(index.apply(InstanceRecord::parse(record("alice", "running", 8, 1))).activityMoved);
  CHECK(index.runs("alice"));
  CHECK_FALSE(index.apply(InstanceRecord::parse(R"({"handle":"alice","id":"x","status":"deleted","rev":2})")).removed);
  CHECK(index.apply(InstanceRecord::parse(R"({"handle":"alice","id":"x","status":"deleted","rev":9})")).removed);
  CHECK_FALSE(index.find("alice").has_value());
  CHECK(index.size() == 0);
}
