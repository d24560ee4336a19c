#include "plugin/KnownPolicies.h"

#include "support/TempDir.h"

#include <matrixos/abi/policy.h>

#include <doctest/doctest.h>

#include <filesystem>

using namespace matrixos;
using namespace matrixos::test;
using plugin::KnownPolicies;
using plugin::Manifest;

TEST_CASE("a policy is known for one until it is found not to be one") {
  const TempDir dir;
  const KnownPolicies known(dir / "policies");
  CHECK_FALSE(known.has("door"));
  CHECK(known.has("identity")); // ours, which need not have run
  Manifest door;
  CHECK_FALSE(KnownPolicies::isOne(door));
  door.provides.push_back({MOS_POLICY_1, "door"});
  CHECK(KnownPolicies::isOne(door));
  known.note("door", false);
  CHECK_FALSE(known.has("door"));
  known.note("door", true);
  known.note("door", true);
  CHECK(known.has("door"));
  CHECK(KnownPolicies(dir / "policies").has("door")); // of the next run
  CHECK_FALSE(known.has("../policies/door"));
  known.note("door", false);
  CHECK_FALSE(known.has("door"));
}

TEST_CASE("what cannot be looked up may be a policy, and what cannot be noted harms nobody") {
  const TempDir dir;
  std::filesystem::create_directory(dir / "policies");
  std::filesystem::create_symlink("door", dir / "policies/door");
  CHECK(KnownPolicies(dir / "policies").has("door"));
  writeFile(dir / "file", "");
  KnownPolicies(dir / "file").note("door", true); // says so in the log
}
