/// What outlives the daemon, and what a crash leaves of it.
#include "Journal.h"

#include "Rig.h"
#include "support/TempDir.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

using namespace matrixos;
using namespace matrixos::simulated;
using namespace matrixos::simulated::test;
using matrixos::test::readFile;
using matrixos::test::TempDir;
using matrixos::test::writeFile;
namespace fs = std::filesystem;

namespace {

EngineOptions in(const TempDir &dir) {
  EngineOptions options;
  options.ports = true;
  options.stateDir = dir / "state";
  return options;
}

/// A bit of everything.
void live(Rig &rig) {
  rig.client.volumeEnsure(rig.call("op1"), R"({"name":"va","hostPath":"/data/a"})");
  rig.client.volumeEnsure(rig.call(), R"({"name":"vb"})");
  rig.client.volumeSnapshot(rig.call(), "/data/a", "snap");
  rig.client.volumeTrash(rig.call(), "vb", "bin");
  rig.pull("demo:1");
  rig.pull("other:1");
  rig.engine.removeImage("other:1");
  rig.engine.publishImage("demo:1");
  for (int i = 0; i < 20; ++i) {
    const std::string number = std::to_string(i);
    rig.create(R"({"name":"n)" + number + R"(","image":"demo:1","memoryBytes":1048576,"cpus":0.5,"restart":"always",
      "labels":{"matrixos.install-id":"I","matrixos.handle":"h)" +
                   number + R"("},"networks":[{"name":"net"}],
      "volumes":[{"volume":"/data/a","path":"/home"}],
      "ports":[{"name":"gateway","containerPort":4000,"hostPort":)" +
                   std::to_string(4001 + i) + "}]}",
               "op" + number);
    if (i % 2 == 0) rig.client.start(rig.call(), "n" + number);
    if (i % 4 == 0) rig.client.pause(rig.call(), "n" + number);
    if (i % 6 == 0) rig.client.stop(rig.call(), "n" + number, std::chrono::seconds{1});
    if (i % 5 == 0) rig.client.remove(rig.call(), "n" + number, MOS_REMOVE_FORCE);
  }
  rig.engine.die("n2", 3, true);
  rig.engine.setHealth("n2", Health::Unhealthy);
}

} // namespace

TEST_CASE("the engine is the same after a restart, and after another") {
  const TempDir dir;
  std::string before;
  {
    Rig rig(in(dir));
    live(rig);
    before = dump(rig.engine);
  }
  for (int round = 0; round < 2; ++round) {
    Rig rig(in(dir));
    CHECK(dump(rig.engine) == before);
    CHECK(rig.client.volumeEnsure(rig.call("op1"), R"({"hostPath":"/data/a"})") ==
          R"({"volume":"/data/a","created":true})");
  }
}

TEST_CASE("refs, addresses and ports stay taken after a restart") {
  const TempDir dir;
  std::string removed, running;
  {
    Rig rig(in(dir));
    rig.pull();
    running = rig.create(R"({"name":"a","image":"demo:1","ports":[{"name":"g","containerPort":1,"hostPort":4001}]})");
    rig.client.start(rig.call(), running);
    removed = rig.made("gone");
    rig.client.remove(rig.call(), removed, 0);
  }
  EngineOptions other = in(dir);
  other.seed = 99; // the journal's own seed wins, or refs would change
  Rig rig(other);
  CHECK(rig.state(running) == "running");
  CHECK(rig.made("gone") != removed);
  const std::string b =
      rig.create(R"({"name":"b","image":"demo:1","ports":[{"name":"g","containerPort":1,"hostPort":4001}]})");
  CHECK(ending([&] { rig.client.start(rig.call(), b); }) == "ABORTED PORT_IN_USE");
  rig.client.remove(rig.call(), running, MOS_REMOVE_FORCE);
  CHECK(ending([&] { rig.client.start(rig.call(), b); }) == "OK");
}

TEST_CASE("virtual time goes on where it was") {
  const TempDir dir;
  std::int64_t latest = 0;
  {
    Rig rig(in(dir));
    rig.clock.advance(std::chrono::hours{1});
    rig.started("a");
    latest = rig.clock.nowMs();
  }
  Rig rig(in(dir));
  CHECK(rig.clock.nowMs() == latest);
}

TEST_CASE("a journal cut at any byte gives a state that once was") {
  const TempDir dir;
  std::vector<std::string> states;
  {
    Rig rig(in(dir));
    states.push_back(dump(rig.engine));
    const auto note = [&] { states.push_back(dump(rig.engine)); };
    rig.pull(), note();
    rig.create(R"({"name":"a","image":"demo:1"})"), note();
    rig.client.start(rig.call(), "a"), note();
    rig.client.volumeEnsure(rig.call(), R"({"name":"v"})"), note();
    rig.client.remove(rig.call(), "a", MOS_REMOVE_FORCE), note();
    rig.create(R"({"name":"b","image":"demo:1"})"), note();
  }
  const std::string whole = readFile(dir / "state/journal");
  std::size_t matched = 0;
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    const TempDir cut;
    fs::create_directories(cut / "state");
    writeFile(cut / "state/journal", whole.substr(0, length));
    Rig rig(in(cut));
    const std::string now = dump(rig.engine);
    // A forced removal is two records: ended, then gone.
    const bool once = std::find(states.begin(), states.end(), now) != states.end() ||
                      now.find(R"("state":"exited")") != std::string::npos;
    CHECK(once);
    matched += now == states.back() ? 1 : 0;
    rig.made("after"); // and it works on
  }
  CHECK(matched == 1);
}

TEST_CASE("garbage at the end is dropped; a foreign file is left alone") {
  const TempDir dir;
  std::string before;
  {
    Rig rig(in(dir));
    live(rig);
    before = dump(rig.engine);
  }
  std::ofstream(dir / "state/journal", std::ios::app | std::ios::binary) << std::string(100, '\xff');
  {
    Rig rig(in(dir));
    CHECK(dump(rig.engine) == before);
  }
  writeFile(dir / "state/journal", "somebody's diary, longer than the magic word");
  CHECK(ending([&] { Rig rig(in(dir)); }) == "FAILED_PRECONDITION STATE_FOREIGN");
  CHECK(readFile(dir / "state/journal").rfind("somebody", 0) == 0);
}

TEST_CASE("one engine a folder") {
  const TempDir dir;
  Rig rig(in(dir));
  CHECK(ending([&] { Rig second(in(dir)); }) == "FAILED_PRECONDITION STATE_IN_USE");
}

TEST_CASE("a process that is killed in the middle of its work leaves what it had answered") {
  const TempDir dir;
  int told[2];
  REQUIRE(::pipe(told) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    Rig rig(in(dir));
    rig.pull();
    for (int i = 0;; ++i) {
      rig.create(R"({"name":"n)" + std::to_string(i) + R"(","image":"demo:1"})");
      if (::write(told[1], &i, sizeof i) != sizeof i) ::_exit(1);
    }
  }
  int last = 0;
  while (last < 500 && ::read(told[0], &last, sizeof last) == sizeof last) {
  }
  ::kill(child, SIGKILL);
  ::close(told[1]);
  for (int more = 0; ::read(told[0], &more, sizeof more) == sizeof more;)
    last = more;
  ::waitpid(child, nullptr, 0);
  ::close(told[0]);
  Rig rig(in(dir));
  const auto names = rig.list();
  CHECK(last >= 500);
  CHECK(static_cast<int>(names.size()) >= last + 1);
  CHECK(static_cast<int>(names.size()) <= last + 2); // one may have been made and not told
}

TEST_CASE("a long journal is written anew and means the same") {
  const TempDir dir;
  Journal journal;
  std::vector<std::string> seen;
  journal.open(dir / "j", [&](std::string_view record) { seen.emplace_back(record); });
  const std::string record(100'000, 'x');
  while (!journal.isLong())
    journal.append({record, "small"});
  CHECK(journal.bytes() > (16U << 20U));
  journal.rewrite([](const Journal::Record &write) {
    write("one");
    write("two");
  });
  journal.append({"three"});
  CHECK(journal.bytes() < 1000);
  CHECK(readFile(dir / "j/journal").find("onetwo") == std::string::npos);
  CHECK(fs::file_size(dir / "j/journal") == journal.bytes());
}
