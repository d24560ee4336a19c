// Instances as real processes, through the same calls as the platform's.
#include "ProcessRuntime.h"

#include "support/Errors.h"
#include "support/Sockets.h"
#include "support/TempDir.h"
#include "support/Wait.h"

#include <matrixos/host_ports.hpp>
#include <matrixos/ulid.hpp>

#include <doctest/doctest.h>
#include <unistd.h>

#include <thread>

using namespace matrixos;
using namespace matrixos::processes;
using namespace matrixos::test;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

struct Machine {
  TempDir dir;
  Settings settings = makeSettings();
  std::string warnings;
  std::unique_ptr<ProcessRuntime> runtime;
  Call call{nullptr};

  explicit Machine(const std::string &sandbox = "none", const std::string &cgroups = "none") {
    settings.sandbox = sandbox;
    settings.cgroups = cgroups;
    open();
  }
  ~Machine() {
    runtime->list(call, "{}", [&](std::string_view item) {
      runtime->remove(call, managed::text(managed::parseObject(item), "ref"), MOS_REMOVE_FORCE);
      return true;
    });
  }

  Settings makeSettings() const {
    Settings made;
    made.stateDir = (dir / "state").string();
    made.dataDir = (dir / "data").string();
    made.installId = makeUlid();
    made.command = "exec sleep 1000";
    return made;
  }
  void open() {
    runtime = std::make_unique<ProcessRuntime>(settings, [this](const std::string &text) { warnings += text + "\n"; });
    runtime->open();
  }
  void restart() {
    runtime.reset();
    open();
  }
  std::string create(const std::string &name, const std::string &script, const std::string &more = "") {
    const managed::Json command{"/bin/sh", "-c", script};
    return managed::text(
        managed::parseObject(runtime->create(call, R"({"name":")" + name + R"(","image":"any")" +
                                                       (script.empty() ? "" : R"(,"command":)" + command.dump()) +
                                                       (more.empty() ? "" : "," + more) + "}")),
        "ref");
  }
  std::string up(const std::string &name, const std::string &script, const std::string &more = "") {
    const std::string ref = create(name, script, more);
    runtime->start(call, ref);
    return ref;
  }
  managed::Json inspect(const std::string &ref) { return managed::parseObject(runtime->inspect(call, ref)); }
  std::string state(const std::string &ref) { return managed::text(inspect(ref), "state"); }
  ProcessId id(const std::string &ref) const {
    const auto record = managed::parseObject(readFile(dir / "state" / (ref + ".json")));
    return ProcessId::parse(managed::text(record, "token"));
  }
  std::string output(const std::string &ref) const { return readFile(dir / "state" / (ref + ".log")); }
  managed::Json stats(const std::string &ref) { return managed::parseObject(runtime->stats(call, ref)); }
  std::string volume(const std::string &name) {
    const std::string path = (dir / "users").string() + "/" + name + "/matrixos";
    runtime->volumeEnsure(call, R"({"name":"x","hostPath":")" + path + "\"}");
    return path;
  }
};

struct Sandboxed : Machine {
  Sandboxed() : Machine("auto", "none") {}
  bool works() const { return runtime->isolationNote().find("bubblewrap:") == 0; }
};

struct Limited : Machine {
  Limited() : Machine("none", "auto") {}
  bool can(const std::string &what) const { return runtime->limitsNote().find(what) != std::string::npos; }
};

} // namespace

TEST_CASE_FIXTURE(Machine, "runtime-process: from start to removal") {
  const std::string ref = up("p1", "echo up $WHO in $PWD; trap 'echo bye; exit 3' TERM; while :; do sleep 0.01; done",
                             R"("env":{"WHO":"p1"})");
  REQUIRE(eventually([&] { return output(ref) == "up p1 in /\n"; }));
  const ProcessId process = id(ref);
  CHECK(state(ref) == "running");
  CHECK(stats(ref)["pids"].get<int>() >= 1);
  CHECK(stats(ref)["memoryBytes"].get<int>() > 0);
  runtime->stop(call, ref, seconds{20});
  CHECK(state(ref) == "exited");
  CHECK(inspect(ref)["exitCode"] == 3);
  CHECK(output(ref).find("bye") != std::string::npos);
  CHECK(process::signalSession(process, 0) == 0);
  runtime->remove(call, ref, 0);
  CHECK(output(ref).empty());
}

TEST_CASE_FIXTURE(Machine, "runtime-process: a death is told with its code, and its children go along") {
  const std::string ref = up("p2", "sleep 1000 & echo up; while [ ! -e stop ]; do sleep 0.01; done; exit 9",
                             R"("volumes":[{"volume":")" + volume("p2") + R"(","path":"/home/x"}])");
  REQUIRE(eventually([&] { return output(ref) == "up\n"; }));
  const ProcessId process = id(ref);
  writeFile(dir / "users/p2/matrixos/stop", "");
  CHECK(eventually([&] { return state(ref) == "exited"; }));
  CHECK(inspect(ref)["exitCode"] == 9);
  CHECK(process::signalSession(process, 0) == 0);
}

TEST_CASE_FIXTURE(Machine, "runtime-process: a restart finds the same process, and can end it") {
  const std::string ref = up("p3", "trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done");
  REQUIRE(eventually([&] { return output(ref) == "up\n"; }));
  const ProcessId process = id(ref);
  restart();
  CHECK(state(ref) == "running");
  CHECK(id(ref).text() == process.text());
  CHECK(isProcessAlive(process));
  runtime->stop(call, ref, seconds{20});
  CHECK_FALSE(isProcessAlive(process));
}

TEST_CASE_FIXTURE(Machine, "runtime-process: an id that another process has by now is left alone") {
  const std::string ref = up("p4", "exec sleep 1000");
  const std::string other = up("p5", "exec sleep 1000");
  const ProcessId stranger = id(other);
  const ProcessId mine = id(ref);
  runtime.reset();
  endProcess(call, mine, milliseconds{0});
  reapProcess(mine);
  // As if the id of p4 had been given to p5's process.
  auto record = managed::parseObject(readFile(dir / "state" / (ref + ".json")));
  record["token"] = ProcessId{stranger.pid, mine.startTime - 1, mine.boot}.text();
  writeFile(dir / "state" / (ref + ".json"), record.dump());
  open();
  CHECK(state(ref) == "exited");
  runtime->remove(call, ref, MOS_REMOVE_FORCE);
  CHECK(isProcessAlive(stranger));
}

TEST_CASE_FIXTURE(Machine, "runtime-process: what cannot start says why") {
  settings.command = "exec no-such-program-here";
  const std::string ref = create("p6", "");
  const Error e = errorOf([&] { runtime->start(call, ref); });
  CHECK(e.reason() == "COMMAND_NOT_FOUND");
  CHECK(std::string(e.what()).find("no-such-program-here") != std::string::npos);
  CHECK(state(ref) == "created");
  settings.allowSpecCommand = false;
  CHECK(errorOf([&] { create("p7", "exit 0"); }).reason() == "COMMAND_DENIED");
}

TEST_CASE_FIXTURE(Machine, "runtime-process: a host port that somebody listens on") {
  const LoopbackPort taken;
  taken.listen();
  const std::string port = std::to_string(taken.port());
  const std::string ref =
      create("p8", "exec sleep 1000", R"("ports":[{"name":"gateway","containerPort":4000,"hostPort":)" + port + "}]");
  const Error e = errorOf([&] { runtime->start(call, ref); });
  CHECK(e.status() == Status::Aborted);
  CHECK(e.reason() == MOS_REASON_PORT_IN_USE);
  CHECK(std::string(e.what()).find(port) != std::string::npos);
}

TEST_CASE_FIXTURE(Machine, "runtime-process: frozen by signals") {
  const std::string ref = up("p9", "exec sleep 1000");
  const auto kernelState = [&] { return process::statOf(id(ref))->state; };
  runtime->pause(call, ref);
  CHECK(eventually([&] { return kernelState() == 'T'; }));
  CHECK(state(ref) == "paused");
  restart();
  CHECK(state(ref) == "paused");
  runtime->unpause(call, ref);
  CHECK(eventually([&] { return kernelState() == 'S'; }));
}

TEST_CASE_FIXTURE(Machine, "runtime-process: as another user" * doctest::skip(::geteuid() != 0)) {
  settings.user = {65534, 65534};
  std::filesystem::permissions(dir.path(), std::filesystem::perms(0755));
  restart();
  const std::string home = volume("u1");
  const std::string ref = up(
      "u1", "id -u; id -g; id -G; echo mine >note; cat " + (dir / "state").string() + "/* 2>/dev/null; exec sleep 1000",
      R"("volumes":[{"volume":")" + home + R"(","path":"/home/x"}])");
  CHECK(eventually([&] { return std::filesystem::exists(home + "/note"); }));
  CHECK(output(ref) == "65534\n65534\n65534\n");
}

TEST_CASE_FIXTURE(Sandboxed, "runtime-process: in a sandbox" * doctest::skip(::access("/usr/bin/bwrap", X_OK) != 0)) {
  if (!works()) {
    MESSAGE("bubblewrap does not work here: " << runtime->isolationNote());
    return;
  }
  const std::string other = volume("other");
  writeFile(other + "/secret", "not yours");
  std::filesystem::create_directories(dir / "data");
  writeFile(dir / "data/secret", "not yours either");
  const std::string home = volume("s1");
  const std::string ref =
      up("s1",
         "touch /usr/x 2>/dev/null && echo wrote system; ls " + other + " " + settings.dataDir +
             " 2>/dev/null | grep secret; cat /proc/1/comm; echo kept >note; trap 'echo bye; exit 4' TERM; echo up; "
             "while :; do sleep 0.01; done",
         R"("volumes":[{"volume":")" + home + R"(","path":"/home/x"}])");
  REQUIRE(eventually([&] { return output(ref).find("up\n") != std::string::npos; }));
  CHECK(output(ref) == "bwrap\nup\n");
  CHECK(readFile(home + "/note") == "kept\n");
  const ProcessId process = id(ref);
  restart();
  CHECK(state(ref) == "running");
  CHECK(id(ref).text() == process.text());
  runtime->stop(call, ref, seconds{20});
  CHECK(output(ref).find("bye\n") != std::string::npos);
  CHECK(process::signalSession(process, 0) == 0);
}

TEST_CASE_FIXTURE(Limited, "runtime-process: limits are enforced") {
  if (!can("memory") || !can("pids")) {
    MESSAGE("control groups cannot be written here: " << runtime->limitsNote());
    return;
  }
  const std::string ref = up("l1", "echo up; exec sleep 1000", R"("memoryBytes":20000000,"pidsLimit":8,"cpus":0.5)");
  CHECK(stats(ref)["memoryLimitBytes"] == 20000000);
  CHECK(stats(ref)["pids"] == 1);
  const std::string bomb =
      up("l2", "(i=0; while [ $i -lt 20 ]; do sleep 1000 & i=$((i+1)); done); exec sleep 1000", R"("pidsLimit":4)");
  CHECK(eventually([&] { return output(bomb).find("fork") != std::string::npos; }));
  CHECK(stats(bomb)["pids"].get<int>() <= 4);
  // Not before it has been started: what ends at once has failed to.
  const std::string hog =
      up("l3", "until [ -e go ]; do :; done; x=$(head -c 400000000 /dev/zero | tr '\\0' x); echo $x | wc -c",
         R"("memoryBytes":20000000,"volumes":[{"volume":")" + volume("l3") + R"(","path":"/home/x"}])");
  writeFile(dir / "users/l3/matrixos/go", "");
  CHECK(eventually([&] { return state(hog) == "exited"; }));
  CHECK(inspect(hog)["oomKilled"] == true);
  runtime->pause(call, ref);
  CHECK(state(ref) == "paused");
  runtime->stop(call, ref, seconds{20});
  CHECK(state(ref) == "exited");
}

TEST_CASE_FIXTURE(Limited, "runtime-process: who leaves its session is still found by its control group") {
  if (!can("pids")) {
    MESSAGE("control groups cannot be written here: " << runtime->limitsNote());
    return;
  }
  const std::string ref = up("l4", "setsid sleep 1234 & echo up; exec sleep 1000");
  REQUIRE(eventually([&] { return output(ref) == "up\n" && stats(ref)["pids"] == 2; }));
  runtime->stop(call, ref, milliseconds{0});
  runtime->start(call, ref);
  CHECK(eventually([&] { return stats(ref)["pids"] == 2; })); // the new ones; of the old none is left
}
