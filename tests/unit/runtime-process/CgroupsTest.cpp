// Version 2, as far as files can stand for it: what is written where. Version 1 is met for real in ProcessRuntimeTest.
#include "Cgroups.h"

#include "support/TempDir.h"

#include <doctest/doctest.h>

#include <filesystem>

using namespace matrixos;
using namespace matrixos::processes;
using namespace matrixos::test;

namespace {

struct FakeTree {
  TempDir dir;
  std::filesystem::path run = dir / "matrixos-x/run1";

  FakeTree() {
    std::filesystem::create_directories(run);
    for (const char *file : {"cgroup.controllers", "cgroup.subtree_control", "matrixos-x/cgroup.procs",
                             "matrixos-x/cgroup.subtree_control"})
      writeFile(dir / file, "");
    for (const char *file : {"memory.max", "memory.swap.max", "cpu.max", "pids.max", "cgroup.procs", "cgroup.freeze"})
      writeFile(run / file, "");
  }
};

InstanceSpec limited() {
  return InstanceSpec::parse(R"({"name":"a","image":"x","memoryBytes":268435456,"cpus":0.5,"pidsLimit":256})");
}

} // namespace

TEST_CASE_FIXTURE(FakeTree, "runtime-process: control groups of version 2") {
  const Cgroups cgroups(dir.path().string(), "matrixos-x");
  CHECK(cgroups.limits() == "memory, cpu, pids");
  CHECK(cgroups.canFreeze());
  cgroups.make("run1", limited());
  CHECK(readFile(run / "memory.max") == "268435456");
  CHECK(readFile(run / "memory.swap.max") == "0");
  CHECK(readFile(run / "cpu.max") == "50000 100000");
  CHECK(readFile(run / "pids.max") == "256");
  cgroups.join("run1", 4711);
  CHECK(readFile(run / "cgroup.procs") == "4711");
  cgroups.freeze("run1", true);
  CHECK(readFile(run / "cgroup.freeze") == "1");
  CHECK_FALSE(cgroups.usage("run1").has_value());
  CHECK_FALSE(cgroups.oomKilled("run1"));
  writeFile(run / "memory.events", "low 0\noom 2\noom_kill 1\n");
  CHECK(cgroups.oomKilled("run1"));
  writeFile(run / "memory.stat", "anon 5\ninactive_file 4000\n");
  writeFile(run / "memory.current", "10000\n");
  writeFile(run / "cpu.stat", "usage_usec 1500\nuser_usec 1000\n");
  writeFile(run / "pids.current", "3\n");
  const auto usage = cgroups.usage("run1");
  REQUIRE(usage.has_value());
  CHECK(usage->cpuNanos == 1'500'000);
  CHECK(usage->memoryBytes == 6000);
  CHECK(usage->pids == 3);
}

TEST_CASE_FIXTURE(FakeTree,
                  "runtime-process: a limit that cannot be set fails the start, a missing tree limits nothing") {
  const Cgroups cgroups(dir.path().string(), "matrixos-x");
  std::filesystem::remove(run / "pids.max");
  CHECK_THROWS_WITH_AS(cgroups.make("run1", limited()), doctest::Contains("pids.max"), Error);
  const Cgroups none((dir / "nowhere").string(), "matrixos-x");
  CHECK(none.limits().empty());
  CHECK_FALSE(none.canFreeze());
  CHECK_NOTHROW(none.make("run1", limited()));
  CHECK_NOTHROW(none.remove("run1"));
}
