// Programs that outlive whoever started them, and their logs.
#include "support/TempDir.h"
#include "support/Wait.h"

#include <matrixos/log_file.hpp>
#include <matrixos/process.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <thread>

using namespace matrixos;
using namespace matrixos::test;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

struct Spawned {
  TempDir dir;
  Call call{nullptr};
  ProcessId id{};

  ~Spawned() {
    endProcess(call, id, milliseconds{0});
    reapProcess(id);
  }
  void sh(const std::string &script) {
    id = spawnProcess({{"/bin/sh", "-c", script}, {{"WHO", "me"}}, dir.path().string(), (dir / "log").string()});
  }
  std::string log() const { return readFile(dir / "log"); }
  int members() const { return process::signalSession(id, 0); }
};

template <typename Body>
std::string reasonOf(Body &&body) {
  try {
    body();
  } catch (const Error &e) {
    return e.reason().empty() ? statusName(e.status()) : e.reason();
  }
  return "";
}

} // namespace

TEST_CASE_FIXTURE(Spawned, "process: runs in its folder with its environment and nothing else") {
  sh("echo $WHO in $(pwd); env | grep -v -e WHO -e PWD -e PATH -e SHLVL -e _=; ls -l /proc/self/fd | grep -c -e pipe "
     "-e socket; exit 3");
  CHECK(eventually([&] { return !isProcessAlive(id); }));
  CHECK(log() == "me in " + dir.path().string() + "\n1\n"); // the pipe to grep is its own
  CHECK(reapProcess(id) == 3);
  CHECK(reapProcess(id) == -1);
}

TEST_CASE_FIXTURE(Spawned, "process: ends in good order, with all of its session") {
  sh("trap 'echo bye; exit 0' TERM; sleep 1000 & (sleep 1000 & sleep 1000) & echo up; wait");
  REQUIRE(eventually([&] { return log() == "up\n" && members() >= 4; }));
  CHECK(isProcessAlive(id));
  endProcess(call, id, seconds{20});
  CHECK(members() == 0);
  CHECK(log().find("bye") != std::string::npos);
  CHECK(reapProcess(id) == 0);
  endProcess(call, id, seconds{20}); // gone already
}

TEST_CASE_FIXTURE(Spawned, "process: who does not want to end is killed") {
  sh("trap '' TERM; echo up; while :; do sleep 1000; done");
  REQUIRE(eventually([&] { return log() == "up\n"; }));
  endProcess(call, id, milliseconds{50});
  CHECK_FALSE(isProcessAlive(id));
  CHECK(reapProcess(id) == 128 + SIGKILL);
}

TEST_CASE_FIXTURE(Spawned, "process: an end is given up with its call") {
  sh("trap '' TERM; echo up; while :; do sleep 1000; done");
  REQUIRE(eventually([&] { return log() == "up\n"; }));
  CallScope scope(seconds{60});
  std::thread canceller([&] { scope.cancel(); });
  CHECK(reasonOf([&] { endProcess(Call(scope.abi()), id, seconds{60}); }) == "CANCELLED");
  canceller.join();
  CHECK(isProcessAlive(id));
}

TEST_CASE_FIXTURE(Spawned, "process: another with its id is not it") {
  sh("echo up; exec sleep 1000");
  REQUIRE(eventually([&] { return log() == "up\n"; }));
  CHECK(isProcessAlive(ProcessId::parse(id.text())));
  ProcessId later = id;
  later.startTime += 1;
  CHECK_FALSE(isProcessAlive(later));
  CHECK(processDeathFd(later) == -1);
  CHECK(reapProcess(later) == -1);
  endProcess(call, later, milliseconds{10});
  ProcessId otherBoot = id;
  otherBoot.boot = "00000000";
  endProcess(call, otherBoot, milliseconds{10});
  CHECK(isProcessAlive(id));
  for (const char *text : {"", "x", "1:2:3", "-5:1:a", "99999999999:1:a", "77:", "77:1"})
    CHECK(ProcessId::parse(text).pid == 0);
}

TEST_CASE_FIXTURE(Spawned, "process: nothing runs when its id cannot be kept") {
  const SpawnOptions options{{"/bin/sh", "-c", "echo ran"}, {}, "/", (dir / "log").string()};
  ProcessId seen;
  CHECK(reasonOf([&] {
          spawnProcess(options, [&](const ProcessId &early) {
            seen = early;
            CHECK(isProcessAlive(early));
            throw Error(Status::ResourceExhausted, "the disk is full", "FULL");
          });
        }) == "FULL");
  CHECK(seen.pid > 1);
  CHECK_FALSE(isProcessAlive(seen));
  CHECK(log() == "");
}

TEST_CASE_FIXTURE(Spawned, "process: what cannot be run says so") {
  CHECK(reasonOf([&] { spawnProcess({{"no-such-program"}, {}}); }) == "COMMAND_NOT_FOUND");
  CHECK(reasonOf([&] { spawnProcess({{"/etc/passwd"}, {}}); }) == "COMMAND_NOT_FOUND");
  CHECK(reasonOf([&] { spawnProcess({{}, {}}); }) == "COMMAND_NOT_FOUND");
  CHECK(reasonOf([&] { spawnProcess({{"/bin/true"}, {}, "/no/such/folder"}); }) == "PROCESS");
  CHECK(reasonOf([&] { spawnProcess({{"sh"}, {{"PATH", "/no:/where"}}}); }) == "COMMAND_NOT_FOUND");
}

TEST_CASE_FIXTURE(Spawned, "process: its death can be waited for") {
  sh("echo up; exec sleep 1000");
  const FileDescriptor fd(processDeathFd(id));
  REQUIRE(fd);
  pollfd waiting{fd.get(), POLLIN, 0};
  CHECK(::poll(&waiting, 1, 0) == 0);
  endProcess(call, id, milliseconds{0});
  CHECK(::poll(&waiting, 1, 30'000) == 1);
}

TEST_CASE("log file: the last lines, all lines, and those of before a rotation") {
  const TempDir dir;
  const LogFile log((dir / "log").string(), 20, 3);
  const auto read = [&](std::int64_t tail) {
    std::string lines;
    log.read(Call(nullptr), tail, false, {}, [&](std::int64_t, std::string_view line) {
      lines += std::string(line) + "|";
      return true;
    });
    return lines;
  };
  CHECK(read(-1).empty());
  const auto append = [&](const std::string &text) { writeFile(log.path(), readFile(log.path()) + text); };
  append("one\ntwo\r\nthree");
  CHECK(read(-1) == "one|two|three|");
  CHECK(read(2) == "two|three|");
  CHECK(read(0).empty());
  log.rotateIfLarge();
  CHECK(readFile(dir / "log.1").empty());
  append(" and more of it\n");
  log.rotateIfLarge();
  CHECK(readFile(log.path()).empty());
  append("four is rather a long line\n");
  CHECK(read(2) == "three and more of it|four is rather a long line|");
  for (int i = 0; i < 4; ++i) {
    log.rotateIfLarge();
    append("filler number " + std::to_string(i) + " is long\n");
  }
  CHECK(read(-1) == "filler number 1 is long|filler number 2 is long|filler number 3 is long|");
  log.remove();
  CHECK(std::filesystem::is_empty(dir.path()));
}

TEST_CASE("log file: follows a file that grows and is rotated") {
  const TempDir dir;
  const LogFile log((dir / "log").string(), 10, 2);
  writeFile(log.path(), "old\n");
  std::atomic<bool> writing{true};
  std::atomic<int> count{0};
  std::string lines;
  std::thread follower([&] {
    log.read(
        Call(nullptr), 1, true, [&] { return writing.load(); },
        [&](std::int64_t timeMs, std::string_view line) {
          CHECK(timeMs > 0);
          lines += std::string(line) + "|";
          ++count;
          return true;
        });
  });
  const auto append = [&](const std::string &text) {
    const FileDescriptor file(::open(log.path().c_str(), O_WRONLY | O_APPEND));
    CHECK(::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  };
  REQUIRE(eventually([&] { return count == 1; }));
  append("a longer new line\n");
  REQUIRE(eventually([&] { return count == 2; }));
  log.rotateIfLarge();
  append("x\n");
  REQUIRE(eventually([&] { return count == 3; }));
  append("last words");
  writing = false;
  follower.join();
  CHECK(lines == "old|a longer new line|x|last words|");
}
