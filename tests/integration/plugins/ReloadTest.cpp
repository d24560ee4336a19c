// Plugins that are replaced while the daemon runs: what a good file does, and that a bad one does nothing.
#include "ChangingDaemon.h"
#include "support/Wait.h"

#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

using namespace matrixos::test;
namespace fs = std::filesystem;

namespace {

std::vector<fs::path> copiesOf(const DaemonProcess &daemon) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto &entry : fs::recursive_directory_iterator(daemon.dir() / "data/run/plugins", error)) {
    if (entry.path().extension() == ".so") found.push_back(entry.path());
  }
  return found;
}

unsigned modeOf(const fs::path &path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 0777U;
}

struct NoExecFolder {
  const TempDir dir;
  const fs::path path = dir.path();
  const bool mounted = ::mount("none", path.c_str(), "tmpfs", MS_NOEXEC, "size=64m") == 0;
  ~NoExecFolder() {
    if (mounted) ::umount(path.c_str());
  }
};

void checkRefused(const Response &response, const std::string &part) {
  CAPTURE(response.body);
  CHECK(response.status / 100 == 4);
  CHECK(response.body.find(part) != std::string::npos);
}

} // namespace

TEST_CASE("the new file runs, whichever way it was put there, and who uses the plugin goes on") {
  ChangingDaemon changing;
  changing.daemon().start();
  REQUIRE(changing.answer("version") == "1.0.0");
  CHECK(changing.plugin("generation") == "1");
  changing.replace(2);
  CHECK(changing.answer("version") == "1.0.0");
  const Response reloaded = changing.reload();
  CAPTURE(reloaded.body);
  REQUIRE(reloaded.status == 200);
  CHECK(member(reloaded.body, "version") == "2.0.0");
  CHECK(member(reloaded.body, "generation") == "2");
  CHECK(changing.answer("version") == "2.0.0");
  CHECK(changing.answer("extra") == "more");
  CHECK(changing.consumed() == "2.0.0");

  // The mapped file must not be the one that is cut to nothing here.
  changing.overwrite(1);
  CHECK(changing.answer("version") == "2.0.0");
  CHECK(changing.consumed() == "2.0.0");
  REQUIRE(changing.reload().status == 200);
  CHECK(changing.answer("version") == "1.0.0");
  CHECK(changing.consumed() == "1.0.0");
  CHECK(changing.plugin("generation") == "3");
  CHECK(changing.daemon().api("GET", "/ready").status == 200);
  CHECK(changing.daemon().stop() == 0);
}

TEST_CASE("a file cut to nothing under the running plugin takes nothing down") {
  ChangingDaemon changing;
  changing.daemon().start();
  writeFile(changing.file(), "");
  for (int i = 0; i < 20; ++i)
    REQUIRE(changing.answer("version") == "1.0.0");
  checkRefused(changing.reload(), "is not a 64-bit shared object");
  CHECK(changing.answer("lives") == "1");
  CHECK(changing.daemon().stop() == 0);
}

TEST_CASE("reloading an unchanged file restarts the plugin with fresh variables") {
  ChangingDaemon changing;
  changing.daemon().start();
  changing.daemon().api("POST", "/plugins/changing/disable");
  changing.daemon().api("POST", "/plugins/changing/enable");
  CHECK(changing.answer("lives") == "2"); // the same code was created again
  REQUIRE(changing.reload().status == 200);
  CHECK(changing.answer("lives") == "1");
  CHECK(changing.plugin("generation") == "2");
}

TEST_CASE("a file that cannot take the place leaves the running plugin alone, and the answer says why") {
  ChangingDaemon changing;
  changing.daemon().start();
  const std::string whole = readFile(ChangingDaemon::fileOf(2));
  const auto attempt = [&](const std::string &part) {
    const Response response = changing.reload();
    checkRefused(response, part);
    checkRefused(response, "was not reloaded and runs on as it was");
    CHECK(changing.answer("version") == "1.0.0");
    CHECK(changing.answer("lives") == "1");
    CHECK(changing.consumed() == "1.0.0");
    CHECK(changing.plugin("generation") == "1");
  };
  writeFile(changing.file(), "hello");
  attempt("is not a 64-bit shared object");
  writeFile(changing.file(), whole.substr(0, whole.size() / 2));
  attempt("is damaged");
  changing.replace(4);
  attempt("it needs example.missing/1, which no enabled plugin provides");
  changing.replace(5);
  attempt("[changing] must: has to be set");
  changing.replace(6);
  attempt("consuming could not run: it needs matrixos.lifecycle/1");
  changing.replace(2);
  fs::permissions(changing.file(), fs::perms::owner_all | fs::perms::others_write);
  attempt("mode 0702");
  fs::copy_file(ChangingDaemon::versions() / "consuming.so", changing.file(), fs::copy_options::overwrite_existing);
  fs::permissions(changing.file(), fs::perms::owner_all);
  attempt("calls itself \\\"consuming\\\"");
  fs::remove(changing.file());
  attempt("there is no plugin \\\"changing\\\"");
  changing.replace(2);
  CHECK(changing.reload().status == 200);
  CHECK(changing.answer("version") == "2.0.0");
  CHECK(changing.daemon().stop() == 0);
}

TEST_CASE("a file whose code crashes, hangs or leaves while it is loaded is refused, and the daemon serves on") {
  ChangingDaemon changing(DaemonProcess::Values{{"plugins.start_timeout", "5s"}});
  DaemonProcess &daemon = changing.daemon();
  daemon.start();
  const fs::path sick = buildDir() / "test-plugins/sick";
  const std::string whole = readFile(ChangingDaemon::fileOf(2));
  const auto put = [&](const fs::path &file, const std::string &content) {
    fs::remove(file);
    writeFile(file, content);
    fs::permissions(file, fs::perms::owner_all);
  };
  // Whole to the eye, and garbage where its code and tables are.
  std::string damaged = whole;
  std::fill(damaged.begin() + static_cast<long>(whole.size() / 8), damaged.end() - static_cast<long>(whole.size() / 4),
            '\xcc');
  const std::vector<std::pair<std::string, std::string>> files{
      {readFile(sick / "sick-crashes.so"), "the process that looked at it died with SIGABRT"},
      {readFile(sick / "sick-exits.so"), "the process that looked at it ended with exit code 0"},
      {readFile(sick / "sick-hangs.so"), "its constructors or its entry function hang"},
      {damaged, "changing.so"}};
  for (const auto &[content, why] : files) {
    CAPTURE(why);
    put(changing.file(), content);
    checkRefused(changing.reload(), why);
    CHECK(changing.answer("version") == "1.0.0");
    put(changing.file().parent_path() / "stranger.so", content);
    checkRefused(daemon.api("POST", "/plugins/stranger/enable"), why == "changing.so" ? "stranger.so" : why);
    daemon.rewriteConfig({{"plugins.enabled", "changing, consuming, stranger"}});
    daemon.api("POST", "/reload");
    daemon.rewriteConfig({{"plugins.enabled", "changing, consuming"}});
    CHECK(daemon.api("GET", "/health").status == 200);
    CHECK(changing.answer("version") == "1.0.0");
    const Finished checked = daemon.ctl({"config", "check"});
    CHECK_MESSAGE(checked.status < 128, checked.out);
  }
  changing.replace(2);
  CHECK(changing.reload().status == 200);
  CHECK(daemon.stop() == 0);
}

TEST_CASE("a new version that does not start is taken back") {
  ChangingDaemon changing;
  changing.daemon().start();
  changing.replace(3);
  const Response response = changing.reload();
  checkRefused(response, "version 3.0.0 of changing did not start: version 3 starts badly on purpose");
  checkRefused(response, "version 1.0.0 was started again");
  CHECK(changing.answer("version") == "1.0.0");
  CHECK(changing.answer("lives") == "2");
  CHECK(changing.consumed() == "1.0.0");
  CHECK(changing.plugin("generation") == "1");
  CHECK(changing.plugin("state") == "running");
  CHECK(changing.daemon().api("GET", "/ready").status == 200);
}

TEST_CASE("an old version that does not end well is replaced all the same, and the answer says so") {
  ChangingDaemon changing;
  changing.replace(7);
  changing.daemon().start();
  changing.replace(1);
  const Response response = changing.reload();
  CAPTURE(response.body);
  CHECK(response.status == 200);
  CHECK(response.body.find("version 7 stops badly on purpose") != std::string::npos);
  CHECK(changing.answer("version") == "1.0.0");

  // Back to one that does not start: nothing is left to go back to but what ended badly.
  changing.replace(7);
  REQUIRE(changing.reload().status == 200);
  changing.replace(3);
  checkRefused(changing.reload(), "version 7.0.0 does not run any more: version 7 stops badly on purpose");
  CHECK(changing.plugin("state") == "failed");
  changing.replace(1);
  CHECK(changing.reload().status == 200);
  CHECK(changing.consumed() == "1.0.0");
}

TEST_CASE("the configuration follows the file: a new key counts with the version that knows it") {
  ChangingDaemon changing(DaemonProcess::Values{{"changing.word", "one"}});
  DaemonProcess &daemon = changing.daemon();
  daemon.start();
  changing.replace(2);
  daemon.rewriteConfig({{"changing.word", "two"}, {"changing.extra", "special"}, {"log.level", "debug"}});
  // Who runs is the old version, and it does not know the key.
  checkRefused(daemon.api("POST", "/reload"), "unknown key \\\"extra\\\"");
  CHECK(changing.answer("word") == "one");
  const Response response = changing.reload();
  CAPTURE(response.body);
  REQUIRE(response.status == 200);
  CHECK(response.body.find("[changing] word: one → two") != std::string::npos);
  CHECK(response.body.find("log") == std::string::npos);
  CHECK(changing.answer("word") == "two");
  CHECK(changing.answer("extra") == "special");
  CHECK(daemon.api("POST", "/reload").body.find("[log] level: info → debug") != std::string::npos);

  changing.replace(1);
  checkRefused(changing.reload(), "unknown key \\\"extra\\\"");
  CHECK(changing.answer("extra") == "special");
  CHECK(daemon.api("POST", "/reload").status == 200);
}

TEST_CASE("a disabled plugin is not reloaded; enabling it takes its file as it is then") {
  ChangingDaemon changing;
  changing.daemon().start();
  changing.daemon().api("POST", "/plugins/changing/disable");
  changing.replace(2);
  checkRefused(changing.reload(), "the plugin changing is disabled");
  CHECK(changing.answer("version") == "503");
  CHECK(changing.daemon().api("POST", "/plugins/changing/enable").status == 200);
  CHECK(changing.answer("version") == "2.0.0");
  CHECK(changing.answer("extra") == "more");
  checkRefused(changing.daemon().api("POST", "/plugins/nope/reload"), "there is no plugin \\\"nope\\\"");
}

TEST_CASE("a plugin that the configuration does not name can be enabled, and keeps its keys") {
  ChangingDaemon changing(DaemonProcess::Values{{"plugins.enabled", ""}});
  changing.daemon().start();
  CHECK(changing.answer("version") == "404");
  const Response enabled = changing.daemon().api("POST", "/plugins/changing/enable");
  CAPTURE(enabled.body);
  REQUIRE(enabled.status == 200);
  CHECK(changing.answer("word") == "hello");
  CHECK(changing.daemon().api("POST", "/reload").body == R"({"applied":[],"needsRestart":[],"refused":[]})");
  CHECK(changing.reload().status == 200);
  CHECK(changing.answer("word") == "hello");
}

TEST_CASE("a required plugin can be reloaded") {
  ChangingDaemon changing(DaemonProcess::Values{{"plugins.required", "changing"}});
  changing.daemon().start();
  changing.replace(2);
  CHECK(changing.reload().status == 200);
  CHECK(changing.answer("version") == "2.0.0");
}

TEST_CASE("a plugin whose table somebody holds himself is not taken away from him") {
  ChangingDaemon changing(DaemonProcess::Values{{"plugins.enabled", "changing, leasing"}});
  changing.replace(8);
  changing.daemon().start();
  REQUIRE(changing.daemon().api("GET", "/ready").status == 200);
  checkRefused(changing.reload(), "leasing holds its service example.direct/1");
  CHECK(changing.answer("lives") == "1");
  CHECK(changing.daemon().api("POST", "/plugins/leasing/disable").status == 200);
  CHECK(changing.reload().status == 200);
  CHECK(changing.daemon().api("POST", "/plugins/leasing/enable").status == 200);
  CHECK(changing.plugin("generation") == "2");
}

TEST_CASE("a table that somebody holds is told apart from a call that is inside") {
  ChangingDaemon changing(
      DaemonProcess::Values{{"plugins.enabled", "changing, leasing"}, {"plugins.stop_timeout", "500ms"}});
  changing.replace(8);
  changing.daemon().start();
  const Finished disabled = changing.daemon().ctl({"plugins", "disable", "changing"});
  CHECK(disabled.status == 1);
  CHECK(disabled.out == "changing failed: after stop() it still has a table of example.direct/1 that leasing holds\n");
}

TEST_CASE("who needs a plugin stops before it, also when that one came back late") {
  ChangingDaemon changing;
  DaemonProcess &daemon = changing.daemon();
  daemon.start();
  REQUIRE(daemon.api("POST", "/plugins/changing/disable").status == 200);
  REQUIRE(daemon.api("POST", "/plugins/changing/enable").status == 200);
  REQUIRE(changing.reload().status == 200);
  CHECK(daemon.stop() == 0);
  const std::string log = daemon.log();
  CAPTURE(log);
  CHECK(log.find("plugin changing reloaded: 1.0.0 → 1.0.0") != std::string::npos);
  CHECK(log.rfind("plugin consuming stopped") < log.rfind("plugin changing stopped"));
}

TEST_CASE("what runs are private copies, which go with the daemon") {
  ChangingDaemon changing;
  DaemonProcess &daemon = changing.daemon();
  daemon.start();
  REQUIRE(copiesOf(daemon).size() == 2);
  for (const fs::path &copy : copiesOf(daemon)) {
    CHECK(modeOf(copy) == 0600U);
    CHECK(modeOf(copy.parent_path()) == 0700U);
    CHECK(modeOf(copy.parent_path().parent_path()) == 0700U);
  }
  const std::string maps = readFile("/proc/" + std::to_string(daemon.process().pid()) + "/maps");
  CHECK(maps.find("/run/plugins/process-") != std::string::npos);
  CHECK(maps.find(changing.plugins().path().string()) == std::string::npos);
  // Reading the configuration again loads nothing again.
  REQUIRE(daemon.api("POST", "/reload").status == 200);
  CHECK(copiesOf(daemon).size() == 2);
  REQUIRE(changing.reload().status == 200);
  CHECK(copiesOf(daemon).size() == 3);
  CHECK(daemon.stop() == 0);
  CHECK(copiesOf(daemon).empty());

  daemon.start();
  daemon.kill();
  CHECK(copiesOf(daemon).size() == 2);
  daemon.start();
  CHECK(copiesOf(daemon).size() == 2);
  CHECK(changing.answer("version") == "1.0.0");
}

TEST_CASE("a second daemon on the same data leaves the copies of the first one alone") {
  ChangingDaemon changing;
  DaemonProcess &daemon = changing.daemon();
  daemon.start();
  const Finished second = run({(buildDir() / "bin/matrixosd").string(), "--config=" + daemon.configFile().string()});
  CHECK(second.status == 69);
  CHECK(copiesOf(daemon).size() == 2);
  CHECK(changing.reload().status == 200);
}

TEST_CASE("--check needs no data directory and leaves nothing") {
  ChangingDaemon changing;
  DaemonProcess &daemon = changing.daemon();
  const auto temporary = daemon.dir() / "tmp";
  fs::create_directories(temporary);
  const Finished checked = run({"env", "TMPDIR=" + temporary.string(), (buildDir() / "bin/matrixosd").string(),
                                "--config=" + daemon.configFile().string(), "--check"});
  CAPTURE(checked.out);
  CHECK(checked.status == 0);
  CHECK(fs::is_empty(temporary));
  CHECK_FALSE(fs::exists(daemon.dir() / "data"));
}

TEST_CASE("copies on a file system that holds no code: the plugins fail and the reason names the remedy") {
  const NoExecFolder mounted;
  if (!mounted.mounted) {
    MESSAGE("skipped: this user may not mount");
    return;
  }
  {
    ChangingDaemon changing(DaemonProcess::Values{{"plugins.copies", (mounted.path / "deep" / "copies").string()}});
    changing.daemon().start();
    const std::string reason = changing.plugin("reason");
    CHECK(reason.find(mounted.path.string() + " is mounted noexec") != std::string::npos);
    CHECK(reason.find("[plugins] copies") != std::string::npos);
    CHECK(changing.daemon().stop() == 0);
  }
  CHECK(fs::is_empty(mounted.path));
}

TEST_CASE("matrixosctl plugins reload says what it did") {
  ChangingDaemon changing;
  DaemonProcess &daemon = changing.daemon();
  daemon.start();
  changing.replace(2);
  CHECK(daemon.ctl({"plugins", "reload", "changing"}).out ==
        "changing reloaded: 1.0.0 → 2.0.0 (generation 1 → 2), running\n"
        "applied: [changing] extra: (absent) → more\n");
  CHECK(daemon.ctl({"plugins", "reload", "changing"}).out ==
        "changing reloaded: 2.0.0 → 2.0.0 (generation 2 → 3, the same file), running\n");
  changing.replace(3);
  const Finished refused = daemon.ctl({"plugins", "reload", "changing"});
  CHECK(refused.status == 1);
  CHECK(refused.out ==
        "matrixosctl: version 3.0.0 of changing did not start: version 3 starts badly on purpose; version "
        "2.0.0 was started again\n");
}
