// The commands that plugins declare, with a third party's plugins (tests/fakes/commands): what matrixosctl does with
// them is what it does with its own.
#include "support/DaemonProcess.h"
#include "support/Process.h"
#include "support/TempDir.h"
#include "support/Text.h"
#include "support/Wait.h"

#include <matrixos/json.hpp>

#include <doctest/doctest.h>
#include <unistd.h>

using namespace matrixos;
using namespace matrixos::test;
namespace fs = std::filesystem;

namespace {

std::string program() {
  return (buildDir() / "bin/matrixosctl").string();
}

/// A folder with these plugins, as an operator installs them.
void install(const fs::path &folder, const std::vector<fs::path> &plugins) {
  fs::create_directories(folder);
  fs::permissions(folder, fs::perms::owner_all);
  for (const fs::path &plugin : plugins) {
    fs::copy_file(plugin, folder / plugin.filename(), fs::copy_options::overwrite_existing);
    fs::permissions(folder / plugin.filename(), fs::perms::owner_all);
  }
}

fs::path fake(const std::string &id) {
  return buildDir() / "test-plugins/commands" / (id + ".so");
}

/// Installed plugins, a configuration, no daemon, and a cache of its own.
class Offline {
public:
  Offline(const std::vector<fs::path> &plugins, const std::string &enabled) {
    install(dir_ / "plugins", plugins);
    writeFile(dir_ / "matrixosd.ini",
              "[platform]\ndata_dir = data\n[plugins]\npath = plugins\nenabled = " + enabled + "\n");
  }
  Finished ctl(const std::string &words) const {
    return run({"sh", "-c",
                "XDG_CACHE_HOME=" + cacheHome().string() + " exec " + program() +
                    " --config=" + (dir_ / "matrixosd.ini").string() + " " + words});
  }
  fs::path cacheHome() const { return dir_ / "cache"; }
  fs::path cache() const { return cacheHome() / "matrixos/commands.json"; }
  fs::path plugin(const std::string &id) const { return dir_ / "plugins" / (id + ".so"); }

private:
  TempDir dir_;
};

/// A daemon with the third party's plugins.
struct Online {
  explicit Online(DaemonProcess::Values values = {}) {
    install(plugins / "p", {fake("hooks"), fake("bells")});
    values.insert({{"plugins.path", (plugins / "p").string()}, {"plugins.enabled", "hooks, bells"}});
    daemon = std::make_unique<DaemonProcess>(values);
    daemon->start();
  }
  const TempDir plugins;
  std::unique_ptr<DaemonProcess> daemon;
};

} // namespace

TEST_CASE("declared commands do what they declare") {
  Online online;
  const DaemonProcess &daemon = *online.daemon;
  struct Row {
    std::vector<std::string> words;
    int status;
    std::string output;
  };
  const std::string usage = "\nSee matrixosctl --help.\n";
  for (const Row &row : {
           Row{{"hooks", "list", "--quiet"}, 0, "h1\nh2?[2J\n"},
           {{"hooks", "list", "--limit=0"}, 0, "ID  TARGET  SINCE WHEN  TRIES\n"},
           {{"hooks", "list", "--limit", "0", "--json"}, 0, "{\"items\": []}\n"},
           {{"--limit", "0", "hooks", "list", "--quiet"}, 0, ""},
           {{"hooks", "list", "--limit=many"}, 64, "matrixosctl: --limit takes a number, not \"many\"" + usage},
           {{"hooks", "show", "h1"}, 0, "deep  {\"er\":[1]}\nid    h1\n"},
           {{"hooks", "show", "odd"}, 0, "1\n{\"a\":2}\n"},
           {{"hooks", "show", "word"}, 0, "true\n"},
           {{"hooks", "show", "word", "--json"}, 0, "true\n"},
           {{"hooks", "show", "text"}, 0, "a, ?\nb\n"},
           {{"hooks", "show", "text", "--json"}, 0, "\"a, \\u001B\\nb\\n\"\n"},
           {{"hooks", "show", "broken"}, 0, "{\n"},
           {{"hooks", "show", "a/../b?c#d", "--json"}, 0, "{\"id\": \"h1\", \"deep\": {\"er\": [1]}}\n"},
           {{"hooks", "show", ".."}, 64, "matrixosctl: \"hooks show\" cannot have \"..\" as ID" + usage},
           {{"hooks", "show", ""}, 64, "matrixosctl: \"hooks show\" cannot have \"\" as ID" + usage},
           {{"hooks", "show"}, 64, "matrixosctl: \"hooks show\" needs ID: matrixosctl hooks show ID" + usage},
           {{"hooks", "show", "a", "b"},
            64,
            "matrixosctl: unexpected argument \"b\": matrixosctl hooks show ID" + usage},
           {{"hooks", "shw", "a"}, 64, "matrixosctl: unknown command \"hooks shw\"; did you mean \"show\"?" + usage},
           {{"hooks"}, 64, "matrixosctl: \"hooks\" is followed by add, deliver, drop, list, log, send or show" + usage},
           {{"hoks"}, 64, "matrixosctl: unknown command \"hoks\"; did you mean \"hooks\"?" + usage},
           {{"hooks", "drop", "h1", "--yes"}, 0, "h1 is forgotten\n"},
           {{"hooks", "drop", "h1", "--yes", "--json"}, 0, "null\n"},
           {{"hooks", "drop", "h1"},
            64,
            "matrixosctl: nobody can be asked here: \"hooks drop\" needs --yes; nothing was changed" + usage},
           {{"hooks", "send", "h1"}, 1, "matrixosctl: nobody listens there\n"},
           {{"hooks", "send", "h1", "--json"},
            1,
            "{\"error\":\"nobody listens there\",\"exitCode\":1,\"reason\":\"NOBODY\"}\n"},
           {{"hooks", "log", "h1"}, 0, "one\ntwo ?[2J\n{\"three\": 3}\n"},
           {{"hooks", "log", "h1", "--json"}, 0, "\"one\"\n\"two \\u001B[2J\"\n{\"three\":3}\n"},
           {{"hooks", "add", "x"}, 64, "matrixosctl: \"hooks add\" needs --secret TEXT: what signs it" + usage},
           {{"bells", "ring"}, 0, "status  ok\n"},
       }) {
    const Finished finished = daemon.ctl(row.words);
    CAPTURE(row.words.back());
    CHECK(finished.status == row.status);
    CHECK(finished.out == row.output);
  }
  const std::string table = daemon.ctl({"hooks", "list"}).out;
  CHECK(has(table, "ID      TARGET               SINCE WHEN  TRIES\n"));
  CHECK(has(table, "h1      http://one.example/  "));
  CHECK(has(table, " d ago"));
  CHECK(has(table, "never       \n"));
}

TEST_CASE("a body is made of arguments and options, each with its type and none with more than its value") {
  Online online;
  const DaemonProcess &daemon = *online.daemon;
  const auto sent = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"hooks", "add"});
    words.insert(words.end(), {"--secret=\"},{\"", "--json"});
    const Finished finished = daemon.ctl(words);
    CAPTURE(finished.out);
    REQUIRE(finished.status == 0);
    return json::dump(*json::parseObject(finished.out));
  };
  CHECK(sent({"a\"b"}) == R"({"key":"\"},{\"","tags":["to a\"b"],"target":"a\"b"})");
  CHECK(sent({"a", "a note", "--weight=5", "--older-than", "1h", "--dry"}) ==
        R"({"dry":true,"key":"\"},{\"","note":"a note","olderThan":"1h","tags":["to a",5],"target":"a","weight":5})");
  CHECK(has(sent({"a", "--weight=0.5"}), R"("weight":0.5)"));
  CHECK(daemon.ctl({"hooks", "add", "a", "--secret=x", "--weight=0x5"}).status == 64);
  CHECK(daemon.ctl({"hooks", "add", "a", "--secret=x", "--weight=inf"}).status == 64);
}

TEST_CASE("one command is the beginning of another, and its argument may be left out") {
  Online online;
  const DaemonProcess &daemon = *online.daemon;
  const auto shown = [&](const std::string &words, const std::string &environment) {
    return run({"sh", "-c",
                environment + " exec " + program() + " --config=" + daemon.configFile().string() + " " + words})
        .out;
  };
  CHECK(shown("hits", "LC_ALL=C COLUMNS=60") == "DAY          HITS      USD    MOST  SHARE\n"
                                                "2026-11-28  1.23M  12.3457       -  " +
                                                    std::string(24, '#') +
                                                    "\n"
                                                    "2026-11-29      0   0.0000       -  \n"
                                                    "2026-11-30  1.00k  <0.0001  0.5000  #\n");
  CHECK(has(shown("hits", "LC_ALL= LC_CTYPE=en_US.UTF-8 COLUMNS=60"), "  ████████████████████████\n"));
  CHECK(shown("hits --quiet", "") == "2026-11-28\n2026-11-29\n2026-11-30\n");
  CHECK(shown("hits --csv", "") == "day,hits\n2026-11-29,1\n");
  CHECK(shown("hits h1 --quiet", "") == "h1\n");
  CHECK(shown("hits --quiet -- limit", "") == "limit\n");
  CHECK(shown("hits limit h1", "") == "h1: 1 to none\n");
  CHECK(daemon.ctl({"hits", "--csv", "--json"}).status == 64);
  CHECK(daemon.ctl({"hits", ".."}).status == 64);
  CHECK(daemon.ctl({"hits", "a/b", "--quiet"}).out == "a/b\n");
}

TEST_CASE("whoever sits at a terminal is asked, and sees how far a long command is") {
  Online online;
  const DaemonProcess &daemon = *online.daemon;
  const auto typing = [&](const std::string &words, const std::string &input) {
    return run({"script", "-qec", program() + " --config=" + daemon.configFile().string() + " " + words, "/dev/null"},
               input);
  };
  const Finished confirmed = typing("hooks drop h1", "h1\n");
  CHECK(confirmed.status == 0);
  CHECK(has(confirmed.out, "This forgets h1 for good. Type the id to confirm: "));
  CHECK(has(confirmed.out, "h1 is forgotten"));
  const Finished refused = typing("hooks drop h1", "h2\n");
  CHECK(refused.status == 1);
  CHECK(has(refused.out, "not confirmed; nothing was changed"));
  const Finished delivered = typing("hooks deliver h1", "");
  CHECK(delivered.status == 0);
  CHECK(has(delivered.out, "h1: delivering 25 %"));
  CHECK(has(delivered.out, "h1 is delivered after 3 attempts"));
}

TEST_CASE("the daemon says which commands a plugin has, and which it does not get") {
  Online online;
  const DaemonProcess &daemon = *online.daemon;
  CHECK(has(daemon.ctl({"plugins", "info", "hooks"}).out, "commands     hooks list: What is to be sent"));
  const auto plugin = json::parseObject(daemon.api("GET", "/plugins/bells").body);
  CHECK(plugin->getArray("commands")->size() == 3);
  CHECK(has(daemon.log(),
            R"(plugin bells does not get its command \"hooks list\": the plugin hooks has \"hooks list\")"));
  CHECK(has(daemon.log(), R"(plugin bells does not get its command \"status\": matrixosctl has \"status\" itself)"));
  const Finished doctor = daemon.ctl({"plugins", "doctor", "--load"});
  CHECK(doctor.status == 1);
  CHECK(has(doctor.out, "commands    9, which nobody else has"));
  CHECK(
      has(doctor.out, R"(commands    "hooks list" is not there: the plugin hooks has "hooks list", "status" is not)"));
}

TEST_CASE("a plugin in a process of its own has its commands") {
  Online online(DaemonProcess::Values{{"bells.isolation", "process"}});
  CHECK(online.daemon->ctl({"bells", "ring"}).out == "status  ok\n");
  const auto plugin = json::parseObject(online.daemon->api("GET", "/plugins/bells").body);
  CHECK(json::getString(*plugin, "state") == "running");
  CHECK(plugin->getArray("commands")->size() == 3);
}

TEST_CASE("commands of plugins elsewhere are those that the daemon there says") {
  Online online;
  const TempDir empty;
  writeFile(empty / "x.ini", "[plugins]\npath = none\n");
  const std::vector<std::string> ctl{program(), "--config=" + (empty / "x.ini").string(),
                                     "--api=unix:" + online.daemon->adminSocket().string()};
  const auto with = [&](std::vector<std::string> words) {
    words.insert(words.begin(), ctl.begin(), ctl.end());
    return run(words);
  };
  CHECK(with({"hooks", "list", "--quiet"}).out == "h1\nh2?[2J\n");
  CHECK(has(with({"help", "hooks"}).out, "hooks drop ID [--yes]"));
  CHECK(with({"hooks", "nothing"}).status == 64);
  // Where nobody knows any command, the reason is told instead.
  const Finished unreachable = run({program(), ctl[1], "--api=unix:/nowhere.sock", "hooks", "list"});
  CHECK(unreachable.status == 69);
  CHECK(has(unreachable.out, "cannot reach unix:/nowhere.sock"));
}

TEST_CASE("a command of a plugin that is not enabled says which one to enable, unless it was enabled at run time") {
  Online online(DaemonProcess::Values{{"plugins.enabled", "bells"}});
  const DaemonProcess &daemon = *online.daemon;
  const Finished refused = daemon.ctl({"hooks", "show", "h1"});
  CHECK(refused.status == 78);
  CHECK(refused.out ==
        "matrixosctl: \"hooks show\" is a command of the plugin hooks, which is not enabled: matrixosctl "
        "plugins enable hooks starts it, [plugins] enabled keeps it so\n");
  // Of a daemon that was named, the configuration here says nothing.
  const std::string api = "unix:" + daemon.adminSocket().string();
  const Finished missing = daemon.ctl({"hooks", "show", "h1", "--api", api});
  CHECK(missing.status == 1);
  CHECK(missing.out ==
        "matrixosctl: the platform at " + api + " has no command \"hooks show\": its plugin hooks does not run\n");
  CHECK(daemon.ctl({"plugins", "enable", "hooks"}).status == 0);
  CHECK(daemon.ctl({"hooks", "show", "h1"}).status == 0);
}

TEST_CASE("without a daemon: help, completion, manual page and exit codes, also of what is not enabled") {
  const Offline offline({fake("hooks"), fake("bells")}, "hooks");
  const Finished help = offline.ctl("help hooks");
  CHECK(help.status == 0);
  CHECK(has(help.out, "  hooks drop ID [--yes]"));
  CHECK(has(help.out, "What is to be sent, it's \\all\n"));
  CHECK(has(offline.ctl("hooks list --help").out, "    --limit=N               at most so many\n"));
  CHECK(has(offline.ctl("help").out, "Says that the daemon lives (bells is not enabled)\n"));
  CHECK(has(offline.ctl("help --man").out, "\\fBhooks drop ID [\\-\\-yes]\\fR"));
  CHECK(has(offline.ctl("completion bash").out,
            "'hooks show') COMPREPLY=($(compgen -W \"$(matrixosctl hooks list --quiet"));
  CHECK(has(offline.ctl("help --man").out, "\\fBhits [ID] [\\-\\-quiet] [\\-\\-csv]\\fR"));
  CHECK(has(offline.ctl("help hits").out, "  hits limit ID"));
  CHECK(offline.ctl("hooks show").status == 64);
  CHECK(offline.ctl("hooks show h1").status == 69);
  CHECK(offline.ctl("bells ring").status == 78);
  // The first of two that declare the same words has them.
  CHECK_FALSE(has(offline.ctl("help").out, "Not theirs"));
}

TEST_CASE("completion scripts take what plugins say as text") {
  const Offline offline({fake("hooks")}, "hooks");
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    CAPTURE(shell);
    const Finished checked = offline.ctl("completion " + shell + " | " + shell + " -n");
    CHECK(checked.status == 0);
    CHECK(checked.out.empty());
  }
}

TEST_CASE("what plugins declare is kept, until their files change") {
  const Offline offline({fake("hooks")}, "hooks");
  CHECK_FALSE(fs::exists(offline.cache()));
  CHECK(offline.ctl("plugins").status == 64); // after a look at all commands
  REQUIRE(fs::exists(offline.cache()));
  const std::string kept = readFile(offline.cache());
  CHECK(has(kept, "hooks drop"));
  // It is used: what stands there counts, as long as the file is the same.
  std::string other = kept;
  other.replace(other.find("hooks drop"), 10, "hooks dump");
  writeFile(offline.cache(), other);
  CHECK(has(offline.ctl("help").out, "hooks dump ID"));
  install(offline.plugin("hooks").parent_path(), {fake("hooks")});
  CHECK(has(offline.ctl("help").out, "hooks drop ID"));
  const std::string version = kept.substr(0, kept.find("\"files\""));
  for (const std::string &damage :
       {std::string(), std::string("{"), std::string("[]"), std::string("{\"version\":1}"), std::string("null"),
        version + "\"files\":1}", version + "\"files\":{\"/x\":null}}", version + "\"files\":{\"/x\":{}}}"}) {
    CAPTURE(damage);
    writeFile(offline.cache(), damage);
    CHECK(has(offline.ctl("help").out, "hooks drop ID"));
    CHECK(json::parseObject(readFile(offline.cache()))->getObject("files")->size() == 1); // made anew
  }
}

TEST_CASE("a cache that others can write is neither read nor written") {
  const Offline offline({fake("hooks")}, "hooks");
  REQUIRE(has(offline.ctl("help").out, "hooks drop"));
  std::string forged = readFile(offline.cache());
  forged.replace(forged.find("hooks drop"), 10, "hooks dump");
  writeFile(offline.cache(), forged);
  fs::permissions(offline.cache(), fs::perms::all);
  CHECK(has(offline.ctl("help").out, "hooks drop"));
  CHECK(fs::status(offline.cache()).permissions() == (fs::perms::owner_read | fs::perms::owner_write)); // made anew
  writeFile(offline.cache(), forged);
  fs::permissions(offline.cache().parent_path(), fs::perms::all);
  CHECK(has(offline.ctl("help").out, "hooks drop"));
  CHECK(readFile(offline.cache()) == forged);
  fs::permissions(offline.cache().parent_path(), fs::perms::owner_all);
  fs::remove(offline.cache());
  fs::create_symlink("/etc/passwd", offline.cache());
  CHECK(has(offline.ctl("help").out, "hooks drop"));
}

TEST_CASE("plugins that the daemon would not load, and hostile ones, have no commands and do no harm") {
  const fs::path sick = buildDir() / "test-plugins/sick";
  const Offline offline({fake("hooks"), sick / "sick-commands.so", sick / "sick-words.so", sick / "sick-crashes.so",
                         sick / "sick-greedy.so", sick / "sick-exits.so"},
                        "sick-words, sick-commands, hooks");
  const std::string help = offline.ctl("help").out;
  CHECK(has(help, "hooks drop ID"));
  CHECK(has(help, "  plugins list [--quiet]"));
  CHECK_FALSE(has(help, "sick"));
  CHECK(offline.ctl("status --help").out.find("The daemon and the state of its plugins") != std::string::npos);
  fs::permissions(offline.plugin("hooks"), fs::perms::all);
  CHECK_FALSE(has(offline.ctl("help").out, "hooks"));
  fs::permissions(offline.plugin("hooks"), fs::perms::owner_all);
  fs::rename(offline.plugin("hooks"), offline.plugin("hooks").parent_path().parent_path() / "hooks.so");
  fs::create_symlink("../hooks.so", offline.plugin("hooks"));
  CHECK_FALSE(has(offline.ctl("help").out, "hooks"));
}

TEST_CASE("a command that calls another plugin's path is nobody's, or waits until the daemon knows whose it is") {
  const fs::path sick = buildDir() / "test-plugins/sick";
  const Offline refused({sick / "sick-paths.so"}, "sick-paths");
  CHECK_FALSE(has(refused.ctl("help").out, "sick cure"));
  // Its plugin could need somebody who has the path; whose that is the daemon knows, and the command does not go past
  // it.
  const TempDir plugins;
  install(plugins / "p",
          {sick / "sick-lent.so", buildDir() / "plugins/orchestrator.so", buildDir() / "plugins/runtime-simulated.so"});
  DaemonProcess daemon({{"plugins.path", (plugins / "p").string()},
                        {"plugins.enabled", "sick-lent, orchestrator, runtime-simulated"},
                        {"orchestrator.runtime", "simulated"}});
  const std::string why =
      "its command \"sick cure\" calls /containers/{ID}, which is the plugin orchestrator's, which it does not need";
  CHECK(has(daemon.check().out, why));
  daemon.start();
  CHECK(has(daemon.ctl({"help"}).out, "sick cure ID"));
  const Finished told = daemon.ctl({"sick", "cure", "alice"});
  CHECK(told.status == 78);
  CHECK(told.out == "matrixosctl: \"sick cure\" calls /containers/{ID}, which is no path of its plugin sick-lent, and "
                    "that does not run: " +
                        why + "\n");
}

TEST_CASE("one that hangs is asked once, not with each command") {
  const Offline offline({fake("hooks"), buildDir() / "test-plugins/sick/sick-hangs.so"}, "sick-hangs, hooks");
  CHECK(has(offline.ctl("help").out, "hooks drop"));
  CHECK(has(readFile(offline.cache()), "failedMs"));
  CHECK(has(offline.ctl("help").out, "hooks drop"));
}

TEST_CASE("matrixosctl's own commands ask no plugin") {
  const Offline offline({fake("hooks")}, "hooks");
  CHECK(offline.ctl("status").status == 69);
  CHECK(offline.ctl("plugins list").status == 69);
  CHECK(offline.ctl("--version").status == 0);
  CHECK_FALSE(fs::exists(offline.cache()));
}
