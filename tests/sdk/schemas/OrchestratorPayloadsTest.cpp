// What the orchestrator really asks of a runtime, and tells of instances, fits the schemas.
#include "ContainerSpec.h"
#include "Schemas.h"

#include <doctest/doctest.h>

using namespace matrixos::orchestrator;
using namespace matrixos::test;

namespace {

Settings settings() {
  Settings made;
  made.installId = "01KAZ6Q0F0000000000000000A";
  made.domain = "matrix-os.com";
  return made;
}

Instance instance() {
  Instance made;
  made.id = "01KAZ6Q0F0000000000000000B";
  made.handle = "alice";
  made.clerkUserId = "user_1";
  made.image = made.runtime = "demo";
  made.operationId = "01KAZ6Q0F0000000000000000C";
  return made;
}

} // namespace

TEST_CASE("the orchestrator's specs fit, from the least to the most they say") {
  Instance least = instance();
  Settings bare = settings();
  bare.network.clear();
  CHECK(misfit("instance-spec", ContainerSpec::make(least, bare).json) == "");

  Instance most = instance();
  most.volume = "/data/users/alice/matrixos";
  most.port = 4001;
  most.shellPort = 3001;
  const ContainerSpec spec = ContainerSpec::make(most, settings());
  CHECK(misfit("instance-spec", spec.json) == "");
  int refused = 0;
  for (const Broken &broken : brokenVariants("instance-spec", spec.json)) {
    CAPTURE(broken.what);
    CHECK(misfit("instance-spec", broken.json) != "");
    ++refused;
  }
  CHECK(refused > 30);
}

TEST_CASE("requests for volumes and filters fit") {
  CHECK(misfit("volume-request", volumeRequest(instance(), settings(), "", {})) == "");
  CHECK(misfit("volume-request", volumeRequest(instance(), settings(), "/data/users/alice", {"/data/users/bob"})) ==
        "");
  CHECK(misfit("labels", installLabels(settings())) == "");
}

TEST_CASE("instances as plugins see them fit, deleted ones too") {
  Instance running = instance();
  running.phase = Phase::Running;
  running.endpoints = {{"gateway", "172.18.0.5", 4000, "bridge", "1"}};
  for (const Phase phase : {Phase::Pending, Phase::Running, Phase::Sleeping, Phase::Failed, Phase::Deleting}) {
    running.phase = phase;
    running.status = statusOf(running);
    CHECK(misfit("instance", running.toJson(1, 2, nullptr)) == "");
  }
  const Progress progress{"downloading", 1, 2};
  running.retryAt = 1;
  CHECK(misfit("instance", running.toJson(1, 2, &progress)) == "");
  CHECK(misfit("instance", deletedJson("alice", running.id, 9)) == "");
}
