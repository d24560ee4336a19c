// What is the daemon's own stays so: its folders, its secret, its memory.
#include "support/DaemonProcess.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

using namespace matrixos::test;
namespace fs = std::filesystem;

namespace {

constexpr uid_t kStranger = 54321;

/// A daemon with one small plugin, and a secret that counts.
class Private {
public:
  Private() {
    fs::create_directory(dir_ / "plugins");
    fs::permissions(dir_ / "plugins", fs::perms::owner_all);
    fs::copy_file(buildDir() / "test-plugins/fake-good.so", dir_ / "plugins/fake-good.so");
    daemon.emplace(DaemonProcess::Values{
        {"plugins.path", (dir_ / "plugins").string()}, {"plugins.enabled", "fake-good"}, {"api.auth", "secret"}});
  }

  fs::path data() const { return daemon->dir() / "data"; }
  fs::path secret() const { return data() / "admin.secret"; }
  /// The status of a route that asks for the secret.
  int statusWith(const std::string &word) const {
    return request(daemon->apiSocket(), "GET", "/status", {{"Authorization", "Bearer " + word}}).status;
  }
  static std::string firstLine(const fs::path &file) {
    const std::string text = readFile(file);
    return text.substr(0, text.find('\n'));
  }

  std::optional<DaemonProcess> daemon;

private:
  TempDir dir_;
};

mode_t modeOf(const fs::path &path) {
  struct stat info {};
  REQUIRE(::lstat(path.c_str(), &info) == 0);
  return info.st_mode;
}

} // namespace

TEST_CASE("a folder or a secret that somebody else could replace is refused, by its name") {
  Private test;
  test.daemon->start();
  CHECK(test.daemon->stop() == 0);
  struct Fault {
    std::string name;
    fs::path path;
    mode_t mode;
    uid_t owner;
    int exitCode;
  };
  const uid_t self = ::geteuid();
  std::vector<Fault> faults{{"everybody may write to the data directory", test.data(), 0777, self, 77},
                            {"a group may write to the data directory", test.data(), 0770, self, 77},
                            {"everybody may write to what holds it", test.daemon->dir().path(), 0777, self, 77},
                            {"everybody may write to run", test.data() / "run", 0777, self, 77},
                            {"everybody may write to the secret", test.secret(), 0666, self, 78}};
  if (self == 0) {
    faults.push_back({"the data directory is a stranger's", test.data(), 0700, kStranger, 77});
    faults.push_back({"run is a stranger's", test.data() / "run", 0755, kStranger, 77});
    faults.push_back({"the secret is a stranger's", test.secret(), 0600, kStranger, 78});
  }
  for (const Fault &fault : faults) {
    CAPTURE(fault.name);
    const mode_t before = modeOf(fault.path) & 07777U;
    REQUIRE(::chmod(fault.path.c_str(), fault.mode) == 0);
    REQUIRE(::chown(fault.path.c_str(), fault.owner, static_cast<gid_t>(-1)) == 0);
    const Finished checked = test.daemon->check();
    CHECK(checked.status == 78);
    CHECK(checked.out.find(fault.path.string()) != std::string::npos);
    fs::remove(test.daemon->dir() / "log");
    test.daemon->launch();
    const auto status = test.daemon->process().wait(std::chrono::seconds{60});
    CHECK(status == fault.exitCode);
    const std::string log = test.daemon->log();
    CAPTURE(log);
    CHECK(log.find(fault.path.string()) != std::string::npos);
    // The remedy.
    const bool remedied = log.find("chmod ") != std::string::npos || log.find("chown ") != std::string::npos;
    CHECK(remedied);
    REQUIRE(::chown(fault.path.c_str(), self, static_cast<gid_t>(-1)) == 0);
    REQUIRE(::chmod(fault.path.c_str(), before) == 0);
  }
  test.daemon->start();
}

TEST_CASE("--check by root finds what the daemon of another user would") {
  if (::geteuid() != 0) return; // for others it is the same user
  Private test;
  fs::permissions(test.daemon->dir().path(), fs::perms::group_exec | fs::perms::others_exec, fs::perm_options::add);
  const fs::path secret = test.daemon->dir() / "key";
  fs::create_directory(test.data());
  fs::permissions(test.data(), fs::perms::owner_all);
  writeFile(secret, "a-word\n");
  fs::permissions(secret, fs::perms::owner_read);
  for (const fs::path &path : {test.data(), secret})
    REQUIRE(::chown(path.c_str(), kStranger, static_cast<gid_t>(-1)) == 0);
  test.daemon->rewriteConfig({{"platform.secret_file", secret.string()}});
  const Finished well = test.daemon->check();
  CHECK_MESSAGE(well.status == 0, well.out);
  // Root could read it, the daemon cannot.
  REQUIRE(::chown(secret.c_str(), 0, static_cast<gid_t>(-1)) == 0);
  const Finished unreadable = test.daemon->check();
  CHECK(unreadable.status == 78);
  CHECK(unreadable.out.find("cannot open the secret file " + secret.string() + ": Permission denied") !=
        std::string::npos);
  CHECK(fs::is_empty(test.data()));
}

TEST_CASE("--check judges a secret as the start does, and makes none") {
  Private test;
  const fs::path secret = test.daemon->dir() / "key";
  test.daemon->rewriteConfig({{"platform.secret_file", secret.string()}});
  for (const auto &[text, says] : std::vector<std::pair<std::string, std::string>>{
           {"", "is empty"}, {"two words", "one word of printable ASCII"}, {std::string(5000, 'x'), "longer than"}}) {
    CAPTURE(says);
    writeFile(secret, text);
    fs::permissions(secret, fs::perms::owner_read | fs::perms::owner_write);
    const Finished checked = test.daemon->check();
    CHECK(checked.status == 78);
    CHECK(checked.out.find(says) != std::string::npos);
    test.daemon->launch();
    CHECK(test.daemon->process().wait(std::chrono::seconds{60}) == 78);
    CHECK(test.daemon->log().find(says) != std::string::npos);
  }
  test.daemon->rewriteConfig({{"platform.secret_file", ""}});
  fs::remove_all(test.data());
  CHECK(test.daemon->check().status == 0);
  CHECK_FALSE(fs::exists(test.data()));
}

TEST_CASE("--check finds a socket's path that something else has") {
  Private test;
  writeFile(test.daemon->dir() / "notes", "mine");
  test.daemon->rewriteConfig({{"api.listen", "unix:" + (test.daemon->dir() / "notes").string()}});
  const Finished checked = test.daemon->check();
  CHECK(checked.status == 78);
  CHECK(checked.out.find("exists and is no socket") != std::string::npos);
}

TEST_CASE("without a umask, nobody else may write to what the daemon makes") {
  Private test;
  test.daemon->launch({"/bin/sh", "-c", "umask 0; exec \"$@\"", "sh"});
  REQUIRE(test.daemon->waitUntilServing());
  CHECK((modeOf(test.data() / "run") & 0777U) == 0755U);
  for (const auto &entry : fs::recursive_directory_iterator(test.data())) {
    CAPTURE(entry.path().string());
    const mode_t mode = modeOf(entry.path());
    // api.sock is for a group.
    CHECK((mode & S_IWOTH) == 0);
    if (!S_ISSOCK(mode)) CHECK((mode & S_IWGRP) == 0);
  }
}

TEST_CASE("a crash leaves no memory on a disk") {
  Private test;
  test.daemon->start();
  const std::string limits = readFile("/proc/" + std::to_string(test.daemon->process().pid()) + "/limits");
  const std::string line = limits.substr(limits.find("Max core file size"));
  CHECK(line.substr(0, line.find(" bytes")).find_first_of("123456789u") == std::string::npos);
}

TEST_CASE("a reload reads the secret again, and the one before is dead at once") {
  Private test;
  test.daemon->start();
  const std::string first = Private::firstLine(test.secret());
  REQUIRE(test.statusWith(first) == 200);
  CHECK(test.daemon->ctl({"reload"}).out.find("secret") == std::string::npos);

  writeFile(test.secret(), "the-second-secret\n");
  CHECK(test.statusWith(first) == 200);
  CHECK(test.daemon->ctl({"reload"}).out.find("the platform secret was replaced") != std::string::npos);
  CHECK(test.statusWith(first) == 401);
  CHECK(test.statusWith("the-second-secret") == 200);

  const fs::path other = test.daemon->dir() / "other-secret";
  writeFile(other, "the-third-secret\n");
  fs::permissions(other, fs::perms::owner_read);
  test.daemon->rewriteConfig({{"platform.secret_file", other.string()}});
  CHECK(test.daemon->ctl({"reload"}).status == 0);
  CHECK(test.statusWith("the-second-secret") == 401);
  CHECK(test.statusWith("the-third-secret") == 200);

  fs::permissions(other, fs::perms::all);
  const Finished refused = test.daemon->ctl({"reload"});
  CHECK(refused.status != 0);
  CHECK(refused.out.find("is open to other users") != std::string::npos);
  CHECK(test.statusWith("the-third-secret") == 200);
  for (const char *secret : {"the-second-secret", "the-third-secret"})
    CHECK(test.daemon->log().find(secret) == std::string::npos);
}

TEST_CASE(
    "the platform's secret and the metrics' token may be systemd credentials, which a shell's --check cannot see") {
  Private test;
  const fs::path folder = test.daemon->dir() / "credentials";
  fs::create_directory(folder);
  const auto give = [&](const char *name, const std::string &text) {
    fs::remove(folder / name);
    writeFile(folder / name, text);
    fs::permissions(folder / name, fs::perms::owner_read);
  };
  give("admin", "the-given-secret");
  const auto with = [&](std::vector<std::string> command) {
    command.insert(command.begin(), {"/usr/bin/env", "CREDENTIALS_DIRECTORY=" + folder.string()});
    return command;
  };
  const auto checkWithThem = [&] {
    return run(
        with({(buildDir() / "bin/matrixosd").string(), "--check", "--config=" + test.daemon->configFile().string()}));
  };
  test.daemon->rewriteConfig(
      {{"platform.secret_file", "credential:admin"}, {"metrics.token_file", "credential:metrics"}});

  const Finished fromShell = test.daemon->check();
  CHECK(fromShell.status == 0);
  CHECK(fromShell.out.find("[platform] secret_file: \"credential:admin\" is not looked at") != std::string::npos);
  test.daemon->launch();
  CHECK(test.daemon->process().wait(std::chrono::seconds{60}) == 78);
  CHECK(test.daemon->log().find("there is no credential \"admin\", since $CREDENTIALS_DIRECTORY is not set") !=
        std::string::npos);

  const std::string missing = "there is no credential \"metrics\" in " + folder.string();
  CHECK(checkWithThem().out.find(missing) != std::string::npos);
  give("metrics", "the-given-token");
  CHECK(checkWithThem().status == 0);
  test.daemon->launch(with({}));
  REQUIRE(test.daemon->waitUntilServing());
  CHECK(test.statusWith("the-given-secret") == 200);
  const auto scrape = [&](const std::string &word) {
    return request(test.daemon->apiSocket(), "GET", "/metrics", {{"Authorization", "Bearer " + word}}).status;
  };
  CHECK(scrape("the-given-token") == 200);
  CHECK(test.daemon->ctl({"config", "show"}).out.find("secret_file = credential:admin\n") != std::string::npos);

  // What newer versions of systemd renew at a reload counts; matrixosctl, which asks for it, needs none of it.
  give("admin", "the-renewed-secret");
  CHECK(test.daemon->ctl({"reload"}).out.find("the platform secret was replaced") != std::string::npos);
  CHECK(test.statusWith("the-renewed-secret") == 200);
  CHECK(test.statusWith("the-given-secret") == 401);
  fs::remove(folder / "metrics");
  const Finished refused = test.daemon->ctl({"reload"});
  CHECK(refused.status != 0);
  CHECK(refused.out.find(missing) != std::string::npos);
  CHECK(scrape("the-given-token") == 200);
  for (const char *secret : {"the-given-secret", "the-renewed-secret", "the-given-token"})
    CHECK(test.daemon->log().find(secret) == std::string::npos);
}
