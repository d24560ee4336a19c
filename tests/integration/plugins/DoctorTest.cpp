// matrixosctl plugins info and doctor: what operators are told of a plugin, with and without a daemon, installed or
// not.
#include "ChangingDaemon.h"
#include "support/Text.h"
#include "support/Wait.h"

#include <matrixos/json.hpp>

#include <doctest/doctest.h>
#include <unistd.h>

#include <csignal>

using namespace matrixos;
using namespace matrixos::test;
namespace fs = std::filesystem;

namespace {

fs::path sick(const std::string &way) {
  return buildDir() / "test-plugins/sick" / ("sick-" + way + ".so");
}

/// The doctor's findings on one plugin, by check.
struct Examination {
  int status = -1;
  bool healthy = false;
  std::map<std::string, std::string> results, texts;
};

Examination examine(const std::vector<std::string> &command) {
  const Finished finished = run(command);
  CAPTURE(finished.out);
  Examination examination;
  examination.status = finished.status;
  const auto plugin = json::parse(finished.out).extract<json::Array::Ptr>()->getObject(0);
  examination.healthy = plugin->getValue<bool>("healthy");
  const auto checks = plugin->getArray("checks");
  for (unsigned i = 0; i < checks->size(); ++i) {
    const auto check = checks->getObject(i);
    const std::string name = check->getValue<std::string>("check");
    CHECK(examination.results.count(name) == 0);
    examination.results[name] = check->getValue<std::string>("result");
    examination.texts[name] = check->getValue<std::string>("text");
    // Whoever is told that something is wrong is told what to do.
    CHECK(check->has("remedy") == (examination.results[name] == "bad"));
  }
  CHECK(examination.status == (examination.healthy ? 0 : 1));
  return examination;
}

/// Without a daemon: in a folder with a configuration and nothing else.
class Bench {
public:
  explicit Bench(const std::string &config = "") {
    writeFile(dir_ / "matrixosd.ini", "[platform]\ndata_dir = data\n[plugins]\npath = plugins\nenabled =\n" + config);
    fs::create_directories(dir_ / "plugins");
  }
  Examination examine(const fs::path &file) const { return test_examine({file.string(), "--load"}); }
  /// The first of them, beside the second.
  Examination examine(const fs::path &file, const fs::path &beside) const {
    return test_examine({file.string(), beside.string(), "--load"});
  }
  /// Without running anything of the file.
  Examination look(const fs::path &file) const { return test_examine({file.string()}); }
  Finished text(const std::vector<std::string> &targets) const { return run(command(targets)); }
  const TempDir &dir() const { return dir_; }

private:
  Examination test_examine(std::vector<std::string> targets) const {
    targets.emplace_back("--json");
    return ::examine(command(targets));
  }
  std::vector<std::string> command(const std::vector<std::string> &targets) const {
    std::vector<std::string> words{(buildDir() / "bin/matrixosctl").string(),
                                   "--config=" + (dir_ / "matrixosd.ini").string(), "plugins", "doctor"};
    words.insert(words.end(), targets.begin(), targets.end());
    return words;
  }

  TempDir dir_;
};

} // namespace

TEST_CASE("doctor: a file that is well, before it is installed and without a daemon") {
  const Bench bench;
  Examination found = bench.examine(sick("well"));
  CHECK(found.healthy);
  CHECK(found.results.at("daemon") == "unknown");
  found.results.erase("daemon");
  CHECK(found.results.size() == 14);
  for (const auto &result : found.results) {
    CAPTURE(result.first);
    CHECK(result.second == "good");
  }
}

TEST_CASE("doctor: every sickness by its name") {
  const Bench bench;
  struct Sickness {
    const char *way, *check, *text;
  };
  for (const Sickness &sickness :
       {Sickness{"crashes", "descriptor", "cannot be loaded: the process that looked at it died with SIGABRT"},
        {"exits", "descriptor", "cannot be loaded: the process that looked at it ended with exit code 0"},
        {"hangs", "descriptor", "did not say what it is within 10000 ms: its constructors or its entry function hang"},
        {"exports", "exports", "sick_helper"},
        {"imports", "imports", "mos_core_secret"},
        {"imports", "descriptor", "undefined symbol: mos_core_secret"},
        {"library", "libraries", "libmatrixos-gone.so: cannot open shared object file"},
        {"origin", "libraries", "libmatrixos-gone.so: cannot open shared object file"},
        {"origin", "descriptor", "libmatrixos-gone.so: cannot open shared object file"}}) {
    CAPTURE(sickness.way);
    const Examination found = bench.examine(sick(sickness.way));
    CHECK_FALSE(found.healthy);
    CHECK(found.results.at(sickness.check) == "bad");
    CHECK_MESSAGE(has(found.texts.at(sickness.check), sickness.text), found.texts.at(sickness.check));
  }
#if defined(__GNUC__) && !defined(__clang__)
  CHECK(bench.examine(sick("unique")).results.at("unique") == "bad");
#endif
}

TEST_CASE("doctor: nothing of a file runs unasked, and what runs can do nothing") {
  const Bench bench;
  const Examination static_ = bench.look(sick("crashes"));
  CHECK(static_.healthy);
  for (const char *check : {"descriptor", "abi", "provides", "needs", "config"})
    CHECK(static_.results.at(check) == "unknown");
  CHECK(has(bench.look(sick("library")).texts.at("libraries"), "libmatrixos-gone.so"));

  // Its constructor aborts as soon as something succeeds that must not.
  const Examination greedy = bench.examine(sick("greedy"));
  CHECK_MESSAGE(greedy.results.at("descriptor") == "good", greedy.texts.at("descriptor"));
}

TEST_CASE("doctor: nothing of a stranger's file runs, whatever is asked") {
  if (::geteuid() != 0) return;
  const Bench bench;
  const fs::path file = bench.dir() / "plugins/sick-well.so";
  fs::copy_file(sick("well"), file);
  REQUIRE(::chown(file.c_str(), 54321, 54321) == 0);
  const Examination found = bench.examine(file);
  CHECK(found.results.at("file") == "bad");
  CHECK(has(found.texts.at("file"), "uid 54321"));
  CHECK(found.results.count("elf") == 0);
  CHECK(found.results.count("descriptor") == 0);
}

TEST_CASE("doctor: what two plugins provide, and what a plugin must not call a key") {
  const Bench bench;
  const Examination twice = bench.examine(sick("twice"));
  CHECK(has(twice.texts.at("provides"), "example.thing/1 one twice"));
  const Examination reserved = bench.examine(sick("reserved"));
  CHECK(has(reserved.texts.at("config"), "declares the key \"isolation\""));
  const Examination words = bench.examine(sick("words"));
  CHECK(has(words.texts.at("commands"), "\"plugins list\" is not there: matrixosctl has \"plugins\" itself"));
  CHECK(has(words.texts.at("commands"), "\"status\" is not there"));
  CHECK(has(bench.examine(sick("commands")).texts.at("descriptor"),
            "the command \"sick list\" has a path with {NOBODY}"));
  CHECK(has(bench.examine(sick("paths")).texts.at("descriptor"),
            "the command \"sick cure\" calls /containers/{ID}, which is not below /sick-paths"));
  const Examination lent = bench.examine(sick("lent"), buildDir() / "plugins/orchestrator.so");
  CHECK(lent.results.at("needs") == "good");
  CHECK(has(lent.texts.at("commands"), "\"sick cure\" calls /containers/{ID}, which is the plugin orchestrator's"));
  const Finished both = bench.text({"--load", sick("provides").string(), sick("twice").string()});
  CHECK(has(both.out, "example.thing/1 one, as sick-twice does"));
}

TEST_CASE("doctor: files that are no plugins, and those that others could change") {
  const Bench bench;
  const fs::path file = bench.dir() / "plugins/sick-well.so";
  CHECK(bench.examine(file).results.at("file") == "bad");
  writeFile(file, "hello");
  CHECK(has(bench.examine(file).texts.at("elf"), "is not a 64-bit shared object"));
  const std::string whole = readFile(sick("well"));
  writeFile(file, whole.substr(0, whole.size() / 2));
  CHECK(has(bench.examine(file).texts.at("elf"), "is damaged"));
  writeFile(file, whole);
  CHECK(bench.examine("sick-well").healthy);
  fs::permissions(file, fs::perms::owner_all | fs::perms::group_write);
  CHECK(has(bench.examine(file).texts.at("file"), "mode 0720"));
  fs::permissions(file, fs::perms::owner_all);
  fs::permissions(file.parent_path(), fs::perms::all);
  CHECK(has(bench.examine(file).texts.at("folder"), "mode 0777"));
  fs::permissions(file.parent_path(), fs::perms::owner_all);
  fs::rename(file, bench.dir() / "elsewhere.so");
  fs::create_symlink(bench.dir() / "elsewhere.so", file);
  CHECK(has(bench.examine(file).texts.at("file"), "is a link out of its folder"));
  fs::remove(file);
  fs::copy_file(sick("well"), bench.dir() / "plugins/other.so");
  CHECK(has(bench.examine("other").texts.at("descriptor"), "calls itself \"sick-well\""));
}

TEST_CASE("doctor: needs and configuration, with the plugin as if it were enabled") {
  const Bench bench("[changing]\nword = fine\nmust =\n");
  const Examination needing = bench.examine(ChangingDaemon::fileOf(4));
  CHECK(has(needing.texts.at("needs"), "needs example.missing/1, which no enabled plugin provides"));
  const Examination demanding = bench.examine(ChangingDaemon::fileOf(5));
  CHECK(has(demanding.texts.at("config"), "[changing] must: has to be set"));
  const Examination strange = bench.examine(ChangingDaemon::fileOf(1));
  CHECK(has(strange.texts.at("config"), "unknown key \"must\" in [changing]"));
  CHECK(bench.examine(ChangingDaemon::versions() / "consuming.so").results.at("needs") == "bad");
  const Finished both = bench.text(
      {"--load", ChangingDaemon::fileOf(6).string(), (ChangingDaemon::versions() / "consuming.so").string()});
  CHECK(both.status == 1);
  CHECK(has(both.out, "2 of 2 plugins need attention"));
}

TEST_CASE("doctor: crashes of the daemon that a plugin has caused") {
  const Bench bench;
  const auto record = [&](const std::string &counts) {
    writeFile(bench.dir() / "data/quarantine/sick-well",
              R"({"plugin":"sick-well","reason":"SIGSEGV in start","at":"now",)" + counts + "}");
    return bench.examine(sick("well"));
  };
  const Examination once = record(R"("crashes":1,"quarantined":false)");
  CHECK(once.results.at("crashes") == "bad");
  CHECK(once.texts.at("crashes") == "it ended the daemon once, last at now: SIGSEGV in start");
  CHECK(record(R"("crashes":2,"quarantined":true)").texts.at("crashes") ==
        "it ended the daemon 2 times in a row, last at now: SIGSEGV in start; it is in quarantine");
}

TEST_CASE("doctor: it reads without a terminal, and leaves nothing behind") {
  const Bench bench;
  const Finished found = bench.text({sick("exports").string()});
  CHECK(found.status == 1);
  CHECK(has(found.out, "  FAILED  exports"));
  CHECK(has(found.out, " -> other libraries could bind to them"));
  CHECK(has(found.out, "1 of 1 plugin needs attention"));
  const auto temporary = bench.dir() / "tmp";
  fs::create_directories(temporary);
  for (const char *way : {"well", "crashes"}) {
    run({"env", "TMPDIR=" + temporary.string(), (buildDir() / "bin/matrixosctl").string(),
         "--config=" + (bench.dir() / "matrixosd.ini").string(), "plugins", "doctor", sick(way).string()});
    CHECK(fs::is_empty(temporary));
  }
  CHECK(run({(buildDir() / "bin/matrixosctl").string(), "--config=/nowhere/x.ini", "plugins", "doctor"}).status == 78);
}

TEST_CASE("doctor: what the running daemon says is part of it") {
  ChangingDaemon changing;
  DaemonProcess &daemon = changing.daemon();
  const std::vector<std::string> command{(buildDir() / "bin/matrixosctl").string(),
                                         "--config=" + daemon.configFile().string(),
                                         "plugins",
                                         "doctor",
                                         "changing",
                                         "--load",
                                         "--json"};
  daemon.start();
  CHECK(examine(command).texts.at("daemon") == "running, generation 1");
  changing.replace(2);
  const Examination stale = examine(command);
  CHECK_FALSE(stale.healthy);
  CHECK(has(stale.texts.at("daemon"), "the file has changed since it was loaded"));
  CHECK(changing.reload().status == 200);
  CHECK(examine(command).texts.at("daemon") == "running, generation 2");
  daemon.api("POST", "/plugins/changing/disable");
  CHECK(examine(command).texts.at("daemon") == "disabled, generation 2");
  changing.replace(3);
  daemon.api("POST", "/plugins/changing/enable");
  CHECK(examine(command).texts.at("daemon") == "failed: version 3 starts badly on purpose");
}

TEST_CASE("info: everything about a plugin on one page") {
  ChangingDaemon changing;
  DaemonProcess &daemon = changing.daemon();
  daemon.start();
  const std::string page = daemon.ctl({"plugins", "info", "changing"}).out;
  CAPTURE(page);
  for (const char *line :
       {"plugin       changing 1.0.0\n", "name         Changing, by Example, MIT\n", "state        running since 20",
        ", generation 1\n", "ABI          major 1, host minor 0 or later; this daemon's host minor is ",
        "provides     matrixos.lifecycle/1, minor 0\n", "changing.so\n", ", mode 0700, ", "sha256 ", "runs from    ",
        "config keys  word: string, default hello\n"})
    CHECK_MESSAGE(has(page, line), "missing: " << line);
  CHECK_FALSE(has(page, "has changed since"));
  CHECK(has(daemon.ctl({"plugins", "info", "consuming"}).out,
            "needs        matrixos.lifecycle/1, minor 0 or later: from changing\n"));
  changing.replace(2);
  CHECK(has(daemon.ctl({"plugins", "show", "changing"}).out,
            "has changed since it was loaded; matrixosctl plugins reload changing\n"));
  daemon.api("POST", "/plugins/changing/disable");
  CHECK(has(daemon.ctl({"plugins", "info", "consuming"}).out, "minor 0 or later: nobody provides it\n"));
  const std::string body = daemon.ctl({"plugins", "info", "changing", "--json"}).out;
  CHECK(member(body, "state") == "disabled");
  CHECK(member(body, "generation") == "1");
}
