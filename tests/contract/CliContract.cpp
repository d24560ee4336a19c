// The command lines of matrixosd and matrixosctl: what they print, and the codes they exit with.
#include "contract/Platform.h"
#include "support/Sockets.h"
#include "support/Wait.h"

#include <matrixos/json.hpp>

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <map>

using namespace matrixos;
using namespace matrixos::test;

namespace {

using Values = DaemonProcess::Values;

/// One call and what it has to say.
struct Call {
  std::vector<std::string> words;
  int status = 0;
  std::string output = {};             ///< exactly, on stdout and stderr together, unless empty
  std::vector<std::string> parts = {}; ///< stand somewhere in it
};

std::string program(const char *name) {
  return (buildDir() / "bin" / name).string();
}

void check(const Call &call, const Finished &finished) {
  std::string line;
  for (const std::string &word : call.words)
    line += " " + word;
  CAPTURE(line);
  CAPTURE(finished.out);
  CHECK(finished.status == call.status);
  if (!call.output.empty()) CHECK(finished.out == call.output);
  for (const std::string &part : call.parts)
    CHECK_MESSAGE(finished.out.find(part) != std::string::npos, "missing: " << part);
}

Finished runProgram(const char *name, const std::vector<std::string> &words) {
  std::vector<std::string> command{program(name)};
  command.insert(command.end(), words.begin(), words.end());
  return run(command);
}

void checkAll(const char *name, const std::vector<Call> &calls) {
  for (const Call &call : calls)
    check(call, runProgram(name, call.words));
}

Platform &shared() {
  static Platform platform;
  return platform;
}

void checkCtl(const std::vector<Call> &calls) {
  for (const Call &call : calls)
    check(call, shared().daemon().ctl(call.words));
}

std::string usage(const std::string &sentence) {
  return "matrixosctl: " + sentence + "\nSee matrixosctl --help.\n";
}

} // namespace

TEST_CASE("matrixosd: options and exit codes") {
  const std::string etc = ETC_DIR "/matrixosd.ini";
  const std::string help = "see matrixosd --help\n";
  checkAll("matrixosd",
           {{.words = {"--version"}, .parts = {"matrixosd 0."}},
            {.words = {"-V"}, .parts = {"matrixosd 0."}},
            {.words = {"--help"},
             .parts = {"--config=FILE", "--set=SECTION.KEY=VALUE", "--check", "--daemon", "--pidfile", "--version",
                       "SIGHUP", "78", "77", "69"}},
            {.words = {"-h"}, .parts = {"usage: matrixosd"}},
            {.words = {"extra"}, .status = 64, .output = "matrixosd: unexpected argument \"extra\"; " + help},
            {.words = {"--bogus"}, .status = 64, .parts = {"bogus", help}},
            {.words = {"--config"}, .status = 64, .parts = {"config", help}},
            {.words = {"--check", "--config=" + etc}, .output = "configuration OK " + etc + "\n"},
            {.words = {"--check", "-c", etc}, .output = "configuration OK " + etc + "\n"},
            {.words = {"--config=" + etc, "--set", "lifecycle.idle_timeout=1h", "--set=log.level=debug", "--check"},
             .output = "configuration OK " + etc + "\n"},
            {.words = {"--config=/nowhere/x.ini", "--check"},
             .status = 78,
             .output = "/nowhere/x.ini: cannot be opened: No such file or directory\n"
                       "matrixosd: the configuration has 1 problem; nothing was started\n"},
            {.words = {"--config=" + etc, "--set=proxy.listn=x", "--check"},
             .status = 78,
             .output = "--set: unknown key \"listn\" in [proxy]; did you mean \"listen\"?\n"
                       "matrixosd: the configuration has 1 problem; nothing was started\n"},
            {.words = {"--config=" + etc, "--set", "proxy", "--check"},
             .status = 78,
             .output = "--set: \"proxy\" is no assignment; write --set section.key=value\n"
                       "matrixosd: the configuration has 1 problem; nothing was started\n"}});
}

TEST_CASE("matrixosd: a relative --config is read from where the command was given") {
  const TempDir dir;
  writeFile(dir / "x.ini", "[log]\nlevel = debug\n");
  check({.words = {"--config=x.ini"}, .output = "configuration OK x.ini\n"},
        run({"env", "-C", dir.path().string(), program("matrixosd"), "--config=x.ini", "--check"}));
}

TEST_CASE("matrixosd: variables of the environment count, between files and --set") {
  const TempDir dir;
  writeFile(dir / "x.ini", "[log]\nlevel = debug\n");
  const std::string file = "--config=" + (dir / "x.ini").string();
  check({.words = {"a bad variable"},
         .status = 78,
         .output =
             "MATRIXOS_LOG_LEVEL: [log] level: \"loud\" is not a choice here; write debug, info, warning or error\n"
             "matrixosd: the configuration has 1 problem; nothing was started\n"},
        run({"env", "MATRIXOS_LOG_LEVEL=loud", program("matrixosd"), file, "--check"}));
  check({.words = {"--set wins"}},
        run({"env", "MATRIXOS_LOG_LEVEL=loud", program("matrixosd"), file, "--set=log.level=info", "--check"}));
}

TEST_CASE("matrixosd: one daemon per data directory, one listener per port") {
  DaemonProcess &daemon = shared().daemon();
  check({.words = {"the same directory"}, .status = 69, .parts = {"is in use by process"}},
        runProgram("matrixosd", {"--config=" + daemon.configFile().string()}));
}

namespace {

/// A folder for daemons that go into the background.
class Background {
public:
  explicit Background(const std::string &more = "") {
    writeFile(dir / "x.ini", "[platform]\ndata_dir = data\n[plugins]\nenabled =\n[log]\nformat = text\n" + more);
  }
  ~Background() {
    if (const pid_t running = pid(); running > 0) {
      ::kill(running, SIGTERM);
      eventually([&] { return ::kill(running, 0) != 0; });
    }
  }

  Finished start(const std::vector<std::string> &more = {}, const std::string &pidFile = "pid") const {
    std::vector<std::string> command{
        "env", "-C", dir.path().string(), program("matrixosd"), "--config=x.ini", "--daemon", "--pidfile=" + pidFile};
    command.insert(command.end(), more.begin(), more.end());
    return run(command);
  }
  /// What the file of the process id says; 0 without one.
  pid_t pid() const {
    return std::filesystem::exists(dir / "pid") ? static_cast<pid_t>(std::stoi(readFile(dir / "pid"))) : 0;
  }
  bool healthy() const {
    try {
      return request(dir / "data/run/admin.sock", "GET", "/health").status == 200;
    } catch (const std::exception &) {
      return false;
    }
  }

  const TempDir dir;
};

/// Each file below a folder with its content; of sockets and folders the names.
std::map<std::string, std::string> contentOf(const std::filesystem::path &folder) {
  std::map<std::string, std::string> all;
  for (const auto &entry : std::filesystem::recursive_directory_iterator(folder))
    all[entry.path().string()] = entry.is_regular_file() ? readFile(entry.path()) : "";
  return all;
}

} // namespace

TEST_CASE("matrixosd: --daemon returns once it serves, keeps its process id in a file, and ends at SIGTERM") {
  const Background daemon;
  check({.words = {"--daemon"}, .parts = {"serving"}}, daemon.start());
  CHECK(daemon.healthy());
  const std::filesystem::path socket = daemon.dir / "data/run/admin.sock";
  const pid_t pid = daemon.pid();
  REQUIRE(pid > 0);
  CHECK(member(request(socket, "GET", "/status").body, "pid") == std::to_string(pid));
  CHECK(::getsid(pid) == pid);
  CHECK(std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/cwd") == "/");
  // The relative paths still lead to the same files, although --daemon has left the directory.
  CHECK(request(socket, "POST", "/reload").status == 200);
  REQUIRE(::kill(pid, SIGTERM) == 0);
  CHECK(eventually([&] { return ::kill(pid, 0) != 0; }));
  CHECK_FALSE(std::filesystem::exists(daemon.dir / "pid"));
}

TEST_CASE("matrixosd: --daemon says what is wrong, and with which code, before it returns") {
  const Background wrong("[proxy]\nlistn = x\n");
  check({.words = {"a wrong configuration"},
         .status = 78,
         .output = "x.ini:8: unknown key \"listn\" in [proxy]; did you mean \"listen\"?\n"
                   "matrixosd: the configuration has 1 problem; nothing was started\n"},
        wrong.start());
  CHECK_FALSE(std::filesystem::exists(wrong.dir / "pid"));
  CHECK_FALSE(std::filesystem::exists(wrong.dir / "data"));
  LoopbackPort taken;
  taken.listen();
  const std::string address = "127.0.0.1:" + std::to_string(taken.port());
  const Background busy("[api]\nlisten = " + address + "\n");
  check({.words = {"a port that is taken"}, .status = 69, .parts = {"cannot run: cannot listen on " + address}},
        busy.start({"--set=plugins.retry_for=0ms"}));
  CHECK_FALSE(std::filesystem::exists(busy.dir / "pid"));
  const Background options;
  check({.words = {"a mask that is none"}, .status = 64, .parts = {"--umask takes octal digits"}},
        options.start({"--umask=9"}));
  check({.words = {"--check"}, .output = "configuration OK x.ini\n"}, options.start({"--check"}));
  CHECK_FALSE(std::filesystem::exists(options.dir / "data"));
}

TEST_CASE(
    "matrixosd: a second daemon is refused before it touches or says anything, and the first one stays as it is") {
  const Background first;
  REQUIRE(first.start().status == 0);
  const std::string pid = std::to_string(first.pid());
  const auto before = contentOf(first.dir.path());
  const std::vector<std::string> command{"env",
                                         "-C",
                                         first.dir.path().string(),
                                         "MATRIXOS_NOBODYS_KEY=1", // worth a warning
                                         program("matrixosd"),
                                         "--config=x.ini",
                                         "--pidfile=pid"};
  for (const bool inBackground : {false, true}) {
    CAPTURE(inBackground);
    std::vector<std::string> words = command;
    if (inBackground) words.emplace_back("--daemon");
    const Finished second = run(words);
    check({.words = {"a second daemon"}, .status = 69, .parts = {"is in use by process " + pid}}, second);
    CHECK(std::count(second.out.begin(), second.out.end(), '\n') == 1);
    CHECK(contentOf(first.dir.path()) == before);
  }
  const Finished other = first.start({"--set=platform.data_dir=other"});
  check({.words = {"other data, the same file"}, .status = 69, .parts = {"belongs to process " + pid}}, other);
  CHECK(std::to_string(first.pid()) == pid);
  CHECK(first.healthy());
}

TEST_CASE("matrixosd: --pidfile overwrites what a dead process left, and nothing else") {
  const Background left;
  writeFile(left.dir / "pid", "999999999\n");
  REQUIRE(left.start().status == 0);
  CHECK(member(request(left.dir / "data/run/admin.sock", "GET", "/status").body, "pid") == std::to_string(left.pid()));
  const Background precious;
  writeFile(precious.dir / "notes", "precious\n");
  check({.words = {"a file of another kind"}, .status = 78, .parts = {"is there and holds no process id"}},
        precious.start({}, "notes"));
  CHECK(readFile(precious.dir / "notes") == "precious\n");
}

TEST_CASE("matrixosd: signals that mean nothing do not end it") {
  DaemonProcess daemon(Values{{"plugins.enabled", ""}});
  daemon.start();
  for (const int signal :
       {SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGVTALRM, SIGPROF, SIGPOLL, SIGPWR, SIGXFSZ, SIGRTMIN, SIGRTMAX, SIGHUP}) {
    CAPTURE(signal);
    daemon.process().signal(signal);
    CHECK(daemon.api("GET", "/health").status == 200);
  }
  CHECK(eventually(
      [&] { return daemon.log().find("a signal that means nothing here was ignored") != std::string::npos; }));
  CHECK(daemon.stop() == 0);
}

TEST_CASE("matrixosd: SIGTERM and SIGINT stop with 0, SIGHUP reloads") {
  for (const int signal : {SIGTERM, SIGINT}) {
    DaemonProcess daemon(Values{{"plugins.enabled", ""}});
    daemon.start();
    daemon.process().signal(SIGHUP);
    CHECK(eventually([&] { return daemon.log().find("configuration reloaded") != std::string::npos; }));
    daemon.process().signal(signal);
    CHECK(daemon.process().wait(std::chrono::seconds{60}).value_or(-1) == 0);
  }
}

TEST_CASE("matrixosctl: without a daemon") {
  const TempDir dir;
  const std::string nowhere = (dir / "no.sock").string();
  checkAll(
      "matrixosctl",
      {{.words = {}, .status = 64, .parts = {"usage: matrixosctl"}},
       {.words = {"--version"}, .parts = {"matrixosctl 0."}},
       {.words = {"--help"}, .parts = {"usage: matrixosctl", "containers provision", "Exit codes:"}},
       {.words = {"-h"}, .parts = {"usage: matrixosctl"}},
       {.words = {"-V"}, .parts = {"matrixosctl 0."}},
       {.words = {"--version", "--json"}, .parts = {R"({"version":"0.)"}},
       {.words = {"help"}, .parts = {"usage: matrixosctl", "containers provision", "Exit codes:"}},
       {.words = {"help", "containers", "destroy"},
        .parts = {"  containers destroy HANDLE", "--yes", "its data goes to the trash (trash restore brings it back)"}},
       {.words = {"help", "trash"},
        .parts = {"trash list [--quiet]", "trash restore ID", "trash purge ID [--yes]",
                  "    --yes                   do not ask\n"}},
       {.words = {"help", "plugins"},
        .parts = {"  plugins list [--quiet]                      All plugins",
                  "  plugins doctor [ID|FILE…] [--load]          Examines"}},
       {.words = {"help", "contaners"},
        .status = 64,
        .output = usage("unknown command \"contaners\"; did you mean \"containers\"?")},
       {.words = {"-x"},
        .status = 64,
        .output = usage("unknown option -x; write -- before an argument that begins with a dash")},
       {.words = {"frobnicate", "--json"},
        .status = 64,
        .output = R"({"error":"unknown command \"frobnicate\"","exitCode":64})"
                  "\n"},
       {.words = {"frobnicate"}, .status = 64, .output = usage("unknown command \"frobnicate\"")},
       {.words = {"contaners", "list"},
        .status = 64,
        .output = usage("unknown command \"contaners\"; did you mean \"containers\"?")},
       {.words = {"containers", "lst"},
        .status = 64,
        .output = usage("unknown command \"containers lst\"; did you mean \"list\"?")},
       {.words = {"relaod"}, .status = 64, .output = usage("unknown command \"relaod\"; did you mean \"reload\"?")},
       {.words = {"containers"},
        .status = 64,
        .output = usage("\"containers\" is followed by destroy, list, provision, show, start or stop")},
       {.words = {"trash", "frobnicate"},
        .status = 64,
        .output = usage("unknown command \"trash frobnicate\"; there are: list, purge, restore")},
       {.words = {"--fo", "status"}, .status = 64, .output = usage("unknown option --fo")},
       {.words = {"--foo", "status"}, .status = 64, .output = usage("unknown option --foo")},
       {.words = {"--api=unix:" + nowhere, "--secret-file=/nope", "status"},
        .status = 78,
        .output = "matrixosctl: cannot open the secret file /nope: No such file or directory\n"},
       {.words = {"help", "login"},
        .parts = {"  login --url URL  Signs you in at --url through a browser; ",
                  "The sign-in is kept in ~/.config/matrixos/credentials\n", "70 a fault of matrixosctl's own"}},
       {.words = {"login"}, .status = 64, .output = usage("\"login\" needs --url URL: https://api.example.com")},
       {.words = {"status", "extra"},
        .status = 64,
        .output = usage("unexpected argument \"extra\": matrixosctl status")},
       {.words = {"--jsno", "status"},
        .status = 64,
        .output = usage("unknown option --jsno; did you mean \"--json\"?")},
       {.words = {"status", "--json=1"}, .status = 64, .output = usage("--json takes no value")},
       {.words = {"status", "--config"}, .status = 64, .output = usage("--config needs a value: --config FILE")},
       {.words = {"status", "--quiet"}, .status = 64, .output = usage("\"status\" has no option --quiet")},
       {.words = {"containers", "show"},
        .status = 64,
        .output = usage("\"containers show\" needs HANDLE: matrixosctl containers show HANDLE")},
       {.words = {"containers", "provision", "alice"},
        .status = 64,
        .output = usage("\"containers provision\" needs --user ID: the owner's Clerk user id")},
       {.words = {"--api=unix:" + nowhere, "status"},
        .status = 69,
        .output = "matrixosctl: cannot reach unix:" + nowhere +
                  ": it cannot be connected to: No such file or directory; check the address\n"},
       {.words = {"--json", "--api=unix:" + nowhere, "status"},
        .status = 69,
        .parts = {R"({"error":"cannot reach unix:)", R"("exitCode":69})"}},
       {.words = {"--api=localhost:9000", "status"}, .status = 64, .parts = {"--api takes unix:/path/of.sock or http"}},
       {.words = {"--api=unix:" + nowhere, "containers", "destroy", "alice"},
        .status = 64,
        .output = usage("nobody can be asked here: \"containers destroy\" needs --yes; nothing was changed")},
       {.words = {"--api=unix:" + nowhere, "trash", "purge", "alice"},
        .status = 64,
        .output = usage("nobody can be asked here: \"trash purge\" needs --yes; nothing was changed")},
       {.words = {"containers", "show", ".."},
        .status = 64,
        .output = usage("\"containers show\" cannot have \"..\" as HANDLE")},
       {.words = {"--json", "metrics"},
        .status = 64,
        .parts = {"--json does not go with metrics, which are in Prometheus' text format"}},
       {.words = {"--config=/nowhere/x.ini", "status"},
        .status = 78,
        .output = "matrixosctl: /nowhere/x.ini: cannot be opened: No such file or directory\n"},
       {.words = {"config", "check", "/nowhere/x.ini"}, .status = 78, .parts = {"cannot be opened"}},
       {.words = {"config", "check", ETC_DIR "/matrixosd.ini"},
        .output = "configuration OK " ETC_DIR "/matrixosd.ini\n"},
       {.words = {"config", "check", "--json", ETC_DIR "/matrixosd.ini"},
        .output = R"({"valid":true,"output":["configuration OK )" ETC_DIR R"(/matrixosd.ini"]})"
                  "\n"},
       {.words = {"config", "check", "--json", "/nowhere/x.ini"},
        .status = 78,
        .parts = {R"({"valid":false,"output":["/nowhere/x.ini: cannot be opened: )"}},
       {.words = {"config", "check", "--config=" ETC_DIR "/matrixosd.xml"},
        .output = "configuration OK " ETC_DIR "/matrixosd.xml\n"},
       {.words = {"plugins", "reload"},
        .status = 64,
        .output = usage("\"plugins reload\" needs ID: matrixosctl plugins reload ID")},
       {.words = {"plugins", "new", "Fire_fly"}, .status = 64, .parts = {"\"Fire_fly\" cannot name a runtime: "}},
       {.words = {"plugins", "new", "Fire_fly", "--kind=policy"},
        .status = 64,
        .parts = {"\"Fire_fly\" cannot name a plugin: "}},
       {.words = {"plugins", "new", "firefly", "--kind=nonsense"},
        .status = 64,
        .parts = {"there is no kind \"nonsense\" of plugins; --kind takes runtime|service|policy|routes"}},
       {.words = {"plugins", "new", "firefly", "--dir=" ETC_DIR},
        .status = 73,
        .output = "matrixosctl: " ETC_DIR " exists; choose another folder with --dir, or remove it\n"},
       {.words = {"completion", "bash"},
        .parts = {"complete -F _matrixosctl matrixosctl", "doctor", "info", "reload"}}});
}

TEST_CASE("matrixosctl: output that cannot be written is a failure, one that nobody reads any more is none to tell") {
  const std::string ctl = program("matrixosctl");
  check({.words = {"a full disk"},
         .status = 74,
         .output = "matrixosctl: the output could not be written: No space left on device\n"},
        run({"sh", "-c", ctl + " --help >/dev/full"}));
  check({.words = {"a full disk, for programs"},
         .status = 74,
         .output = R"({"error":"the output could not be written: No space left on device","exitCode":74})"
                   "\n"},
        run({"sh", "-c", ctl + " --json --version >/dev/full"}));
  CHECK(
      run({"bash", "-c", "trap '' PIPE; " + ctl + " --help | true; echo ${PIPESTATUS[0]}"}).out.find("matrixosctl:") ==
      std::string::npos);
}

TEST_CASE("matrixosctl: every command explains itself") {
  const std::vector<std::vector<std::string>> commands{{"status"},
                                                       {"containers", "list"},
                                                       {"containers", "show"},
                                                       {"containers", "provision"},
                                                       {"containers", "start"},
                                                       {"containers", "stop"},
                                                       {"containers", "destroy"},
                                                       {"trash", "list"},
                                                       {"trash", "restore"},
                                                       {"trash", "purge"},
                                                       {"handles", "release"},
                                                       {"plugins", "list"},
                                                       {"plugins", "info"},
                                                       {"plugins", "show"},
                                                       {"plugins", "doctor"},
                                                       {"plugins", "new"},
                                                       {"plugins", "enable"},
                                                       {"plugins", "disable"},
                                                       {"plugins", "reload"},
                                                       {"config", "check"},
                                                       {"config", "show"},
                                                       {"reload"},
                                                       {"routes"},
                                                       {"metrics"},
                                                       {"completion"},
                                                       {"help"}};
  for (std::vector<std::string> words : commands) {
    const std::string name = words.size() == 1 ? words[0] : words[0] + " " + words[1];
    words.emplace_back("--help");
    const Finished help = runProgram("matrixosctl", words);
    check({.words = words, .parts = {"usage: matrixosctl", "  " + name, "Exit codes:"}}, help);
    if (name != "reload") CHECK(help.out.find("  reload ") == std::string::npos);
  }
}

TEST_CASE("matrixosctl: an instance's life") {
  Platform &platform = shared();
  const std::string alice = platform.handle("alice");
  const std::string bob = platform.handle("bob");
  checkCtl(
      {{.words = {"containers", "list"}, .parts = {"HANDLE  STATUS  USER  GATEWAY  SHELL  CREATED  LAST ACTIVE\n"}},
       {.words = {"containers", "list", "--json"}, .output = "[]\n"},
       {.words = {"containers", "show", alice},
        .status = 1,
        .output = "matrixosctl: there is no instance \"" + alice + "\"\n"},
       {.words = {"containers", "provision", alice, "--user=u-alice"},
        .parts = {alice + " is running (gateway port ", ", shell port "}},
       {.words = {"containers", "provision", alice, "--user", "u-alice"}, .parts = {alice + " is running"}},
       {.words = {"containers", "provision", alice, "--user", "u-bob"},
        .status = 1,
        .output = "matrixosctl: the handle \"" + alice + "\" is taken\n"},
       {.words = {"containers", "provision", "No Body", "--user", "u"}, .status = 1, .parts = {"\"handle\" has to be"}},
       {.words = {"containers", "list", "--quiet"}, .output = alice + "\n"},
       {.words = {"containers", "list"}, .parts = {"HANDLE", alice, "running", "u-alice"}},
       {.words = {"containers", "list", "--status=stopped", "--quiet"}},
       {.words = {"containers", "list", "--status", "odd"}, .status = 1, .parts = {"\"status\" has to be"}},
       {.words = {"containers", "show", alice}, .parts = {"clerkUserId", "u-alice", "containerId", "shellPort"}},
       {.words = {"containers", "stop", alice}, .output = alice + " is stopped\n"},
       {.words = {"containers", "stop", alice}, .output = alice + " is stopped\n"},
       {.words = {"containers", "list", "--status=stopped", "--quiet"}, .output = alice + "\n"},
       {.words = {"containers", "start", alice}, .output = alice + " is running\n"},
       {.words = {"containers", "start", "--", bob},
        .status = 1,
        .output = "matrixosctl: there is no instance \"" + bob + "\"\n"},
       {.words = {"containers", "start", bob, "--json"},
        .status = 1,
        .output = R"({"error":"there is no instance \")" + bob +
                  R"(\"","exitCode":1,"reason":"NO_INSTANCE"})"
                  "\n"},
       {.words = {"containers", "start", bob},
        .status = 1,
        .output = "matrixosctl: there is no instance \"" + bob + "\"\n"}});
  const Finished shown = platform.daemon().ctl({"containers", "show", alice, "--json"});
  CHECK(member(shown.out, "handle") == alice);
  checkCtl({{.words = {"containers", "destroy", alice, "--yes"}, .output = alice + " destroyed\n"},
            {.words = {"containers", "destroy", alice, "--yes"}, .status = 1},
            {.words = {"trash", "list"}, .parts = {"ID  ", "HANDLE  ", "USER  ", "DELETED\n", alice, "u-alice"}},
            {.words = {"handles", "release", alice}, .output = alice + " is free\n"},
            {.words = {"handles", "release", alice}, .status = 1, .parts = {"is not reserved for anybody"}},
            {.words = {"containers", "list", "--json"}, .output = "[]\n"}});
  std::string id = platform.daemon().ctl({"trash", "list", "--quiet"}).out;
  REQUIRE_FALSE(id.empty());
  id.pop_back();
  checkCtl({{.words = {"trash", "restore", id},
             .output = "the data is back; " + alice + " gets it with the next provision of its owner\n"},
            {.words = {"trash", "restore", id}, .status = 1},
            {.words = {"trash", "purge", id, "--yes"}, .status = 1},
            {.words = {"trash", "list", "--quiet"}}});
}

TEST_CASE("matrixosctl: the daemon and its plugins") {
  DaemonProcess &daemon = shared().daemon();
  checkCtl(
      {{.words = {"status"},
        .parts = {"matrixosd 0.", ": ready\n", "domain matrix-os.com", "PLUGIN", "runtime-docker", "running"}},
       {.words = {"plugins", "list"}, .parts = {"PLUGIN", "STATE", "VERSION", "proxy", "running"}},
       {.words = {"plugins", "list", "--quiet"}, .output = "runtime-docker\norchestrator\nlifecycle\nsocial\nproxy\n"},
       {.words = {"plugins", "show", "proxy"}, .parts = {"state", "running", "matrixos.orchestrator/1"}},
       {.words = {"plugins", "info", "proxy"},
        .parts = {"plugin       proxy ", "state        running since ", "generation 1",
                  "needs        matrixos.orchestrator/1", "from orchestrator", "sha256 ",
                  "config keys  listen: listen"}},
       {.words = {"plugins", "doctor"}, .parts = {"runtime-docker (", "  ok      daemon", "all is well\n"}},
       {.words = {"plugins", "doctor", "proxy", "nope"},
        .status = 1,
        .parts = {"proxy (", "nope (", "  FAILED  file", "1 of 2 plugins needs attention\n"}},
       {.words = {"plugins", "reload", "social"},
        .parts = {"social reloaded: ", "(generation 1 → 2, the same file), running"}},
       {.words = {"plugins", "reload", "nope"}, .status = 1, .output = "matrixosctl: there is no plugin \"nope\"\n"},
       {.words = {"plugins", "show", "nope"},
        .status = 1,
        .output = "matrixosctl: there is no plugin \"nope\"; GET /plugins lists them\n"},
       {.words = {"plugins", "disable", "social"}, .output = "social disabled\n"},
       {.words = {"status"}, .parts = {": ready\n", "disabled"}},
       {.words = {"routes"}, .parts = {"METHOD", "/containers/provision"}}});
  CHECK(daemon.api("GET", "/social/users").status == 503);
  checkCtl({{.words = {"plugins", "enable", "social"}, .output = "social enabled\n"},
            {.words = {"plugins", "enable", "nope"}, .status = 1, .parts = {"there is no plugin \"nope\""}},
            {.words = {"reload"}, .output = "nothing has changed\n"},
            {.words = {"metrics"}, .parts = {"# TYPE", "matrixos_"}},
            {.words = {"config", "show"}, .parts = {"[platform]\n", "domain = matrix-os.com\n"}},
            {.words = {"config", "check"}, .output = "configuration OK " + daemon.configFile().string() + "\n"}});
  CHECK(daemon.api("GET", "/social/users").status == 200);
  for (const std::string command : {"status", "routes"}) {
    CAPTURE(command);
    CHECK_NOTHROW(json::parse(daemon.ctl({command, "--json"}).out));
  }
  const auto shown = json::parseObject(daemon.ctl({"config", "show", "--json"}).out);
  CHECK(json::getString(*json::findObject(*shown, "platform"), "domain") == "matrix-os.com");
}

TEST_CASE("matrixosctl: reload says what changed") {
  Platform platform;
  DaemonProcess &daemon = platform.daemon();
  daemon.rewriteConfig({{"lifecycle.idle_timeout", "45m"}, {"platform.domain", "example.org"}});
  check({.words = {"reload"},
         .parts = {"applied: [lifecycle] idle_timeout", "takes a restart: [platform] domain", "example.org"}},
        daemon.ctl({"reload"}));
  daemon.rewriteConfig({{"lifecycle.idle_timeout", "soon"}});
  check({.words = {"reload"}, .status = 1, .parts = {"\"soon\" is not a duration"}}, daemon.ctl({"reload"}));
}

TEST_CASE("matrixosctl: the socket of the API asks for the secret") {
  Platform platform(Values{{"api.auth", "secret"}});
  DaemonProcess &daemon = platform.daemon();
  const std::string secretFile = "--secret-file=" + (daemon.dir() / "data/admin.secret").string();
  const std::string socket = "--api=unix:" + daemon.apiSocket().string();
  const std::string web = "--api=http://127.0.0.1:" + std::to_string(daemon.proxyPort());
  const std::string wrong = (daemon.dir() / "wrong").string(), wrongFile = "--secret-file=" + wrong;
  writeFile(wrong, "wrong\n");
  std::filesystem::permissions(wrong, std::filesystem::perms(0600));
  checkAll("matrixosctl", {{.words = {socket, "containers", "list"},
                            .status = 77,
                            .parts = {"asks who you are: give --secret-file=FILE with an API token or the platform's "
                                      "secret\n"}},
                           {.words = {socket, secretFile, "containers", "list", "--json"}, .output = "[]\n"},
                           {.words = {web, "containers", "list"},
                            .status = 77,
                            .parts = {": matrixosctl login --url http://127.0.0.1:", ", or --secret-file=FILE with"}},
                           {.words = {web, wrongFile, "containers", "list"},
                            .status = 77,
                            .output = "matrixosctl: the secret or token in " + wrong + " is wrong\n"},
                           {.words = {web, secretFile, "containers", "list", "--json"}, .output = "[]\n"}});
}
