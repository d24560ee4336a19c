// What the daemon does for a plugin's configuration: secrets that are replaced while it runs, and checks of its own.
#include "support/DaemonProcess.h"
#include "support/Wait.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <sstream>

using namespace matrixos::test;
namespace fs = std::filesystem;

namespace {

/// A daemon with the plugin "keeper" (tests/fakes/keeper), whose token is in a file.
class Keeping {
public:
  Keeping() {
    fs::create_directory(dir_ / "plugins");
    fs::permissions(dir_ / "plugins", fs::perms::owner_all);
    fs::copy_file(buildDir() / "test-plugins/keeper.so", dir_ / "plugins/keeper.so");
    put("the-first-token");
    daemon.emplace(DaemonProcess::Values{{"plugins.path", (dir_ / "plugins").string()},
                                         {"plugins.enabled", "keeper"},
                                         {"keeper.token_file", token().string()}});
  }

  fs::path token() const { return dir_ / "token"; }
  void put(const std::string &word, fs::perms mode = fs::perms::owner_read | fs::perms::owner_write) const {

    writeFile(token(), word + "\n");
    fs::permissions(token(), mode);
  }
  bool has(const std::string &word) const { return answer("same", word) == "true"; }
  std::string told() const { return answer("told", ""); }

  std::optional<DaemonProcess> daemon;

private:
  std::string answer(const std::string &key, const std::string &word) const {
    return member(daemon->api("GET", "/keeper?word=" + word).body, key);
  }

  TempDir dir_;
};

bool contains(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

/// Whether the process's heap and stacks hold the text.
bool isInMemory(pid_t pid, const std::string &text) {
  std::istringstream maps(readFile("/proc/" + std::to_string(pid) + "/maps"));
  std::ifstream memory("/proc/" + std::to_string(pid) + "/mem", std::ios::binary);
  REQUIRE(memory);
  for (std::string line; std::getline(maps, line);) {
    std::uint64_t from = 0, to = 0;
    char dash = 0;
    std::string mode;
    std::istringstream(line) >> std::hex >> from >> dash >> to >> mode;
    // Anonymous memory, and not the address space that sanitizers and allocators only reserve.
    if (mode.rfind("rw", 0) != 0 || to - from > (std::uint64_t{1} << 28U)) continue;
    std::string bytes(to - from, '\0');
    memory.clear();
    memory.seekg(static_cast<std::streamoff>(from));
    memory.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    bytes.resize(static_cast<std::size_t>(memory.gcount()));
    if (contains(bytes, text)) return true;
  }
  return false;
}

} // namespace

TEST_CASE("a reload hands a plugin its secret when the file has another one, and nothing shows it") {
  Keeping test;
  test.daemon->start();
  CHECK(test.has("the-first-token"));
  CHECK(test.daemon->ctl({"reload"}).status == 0);
  CHECK(test.told() == "0");

  test.put("the-second-token");
  CHECK(test.has("the-first-token"));
  const Finished reloaded = test.daemon->ctl({"reload"});
  CHECK(reloaded.status == 0);
  CHECK(contains(reloaded.out, "applied: [keeper] token: (secret) → (secret)"));
  CHECK(test.has("the-second-token"));
  CHECK(test.told() == "1");

  CHECK(test.daemon->api("POST", "/keeper").status == 200);
  const std::string log = test.daemon->log();
  CHECK(contains(log, "the secret is [redacted]"));
  for (const std::string &text :
       {log, test.daemon->ctl({"config", "show"}).out, test.daemon->ctl({"config", "show", "--json"}).out,
        test.daemon->api("GET", "/ready").body, test.daemon->api("GET", "/plugins/keeper").body, reloaded.out}) {
    CAPTURE(text);
    CHECK_FALSE(contains(text, "the-first-token"));
    CHECK_FALSE(contains(text, "the-second-token"));
  }
}

TEST_CASE("SIGHUP replaces a secret as a reload does") {
  Keeping test;
  test.daemon->start();
  test.put("the-second-token");
  REQUIRE(::kill(test.daemon->process().pid(), SIGHUP) == 0);
  CHECK(eventually([&] { return test.has("the-second-token"); }));
}

TEST_CASE("a secret's file that nobody may trust keeps the old value, and the reload and --check say why") {
  Keeping test;
  test.daemon->start();
  const auto readWrite = fs::perms::owner_read | fs::perms::owner_write;
  struct Row {
    const char *word;
    fs::perms mode;
    std::string says;
  };
  for (const Row &row :
       {Row{"the-second-token", readWrite | fs::perms::others_read, "is open to other users; run: chmod 600"},
        Row{"the-second-token", readWrite | fs::perms::group_write, "is open to other users; run: chmod 600"},
        Row{"SHOUTED-TOKEN", readWrite, "the value does not match [a-z-]{6,}"},
        Row{"", readWrite, "is empty; it has to hold the secret"}}) {
    CAPTURE(row.says);
    test.put(row.word, row.mode);
    const Finished reloaded = test.daemon->ctl({"reload"});
    CHECK(reloaded.status != 0);
    CHECK(contains(reloaded.out, row.says));
    const Finished checked = test.daemon->check();
    CHECK(checked.status == 78);
    CHECK(contains(checked.out, row.says));
    CHECK_FALSE(contains(reloaded.out + checked.out, "SHOUTED"));
    CHECK(test.has("the-first-token"));
    CHECK(test.told() == "0");
  }
  fs::remove(test.token());
  CHECK(test.daemon->ctl({"reload"}).status != 0);
  CHECK(test.has("the-first-token"));
  test.put("the-third-token");
  CHECK(test.daemon->ctl({"reload"}).status == 0);
  CHECK(test.has("the-third-token"));
}

TEST_CASE("a secret that was replaced is gone from the daemon's memory") {
  if (::geteuid() != 0) return; // who may not look cannot know
  Keeping test;
  // Longer than the text that a string keeps in itself, and than what a heap writes over freed memory.
  const std::string first = "a-token-of-old-" + std::string(64, 'q'), second = "a-token-of-new-" + std::string(64, 'z');
  test.put(first);
  test.daemon->start();
  const pid_t pid = test.daemon->process().pid();
  CHECK(isInMemory(pid, first));
  test.put(second);
  CHECK(test.daemon->ctl({"reload"}).status == 0);
  CHECK(isInMemory(pid, second));
  CHECK_FALSE(isInMemory(pid, first));
}

TEST_CASE("what a plugin finds wrong with its section is found by --check, the start and a reload, in the same words") {
  Keeping test;
  test.daemon->start();
  struct Row {
    const char *issuer, *says;
  };
  for (const Row &row : {Row{"https://example.org/?a=b", "] issuer: has a query; write it without"},
                         Row{"https://leak.example", "] token: is [redacted] here"},
                         Row{"https://whole.example", "[keeper]: is not for matrix-os.com"}}) {
    CAPTURE(row.says);
    test.daemon->rewriteConfig({{"keeper.issuer", row.issuer}});
    const Finished checked = test.daemon->check();
    CHECK(checked.status == 78);
    CHECK(contains(checked.out, row.says));
    CHECK_FALSE(contains(checked.out, "the-first-token"));
    const Finished reloaded = test.daemon->ctl({"reload"});
    CHECK(reloaded.status != 0);
    CHECK(contains(reloaded.out, row.says));
    CHECK(test.told() == "0");
    CHECK(contains(test.daemon->ctl({"config", "show"}).out, "issuer =\n"));
  }
  CHECK(test.daemon->stop() == 0);
  test.daemon->rewriteConfig({{"keeper.issuer", "https://example.org/?a=b"}});
  test.daemon->launch();
  CHECK(test.daemon->process().wait(std::chrono::seconds{60}) == 78);
  CHECK(contains(test.daemon->log(), "[keeper] issuer: has a query; write it without"));
  CHECK(contains(test.daemon->log(), "matrixosd.ini:"));

  test.daemon->rewriteConfig({{"keeper.issuer", "https://example.org"}});
  CHECK(test.daemon->check().status == 0);
  test.daemon->start();
  CHECK(contains(test.daemon->ctl({"config", "show"}).out, "issuer = https://example.org"));
}

TEST_CASE("a list of URLs is checked, shown and read like one") {
  Keeping test;
  test.daemon->rewriteConfig(
      {{"keeper.issuer", "https://a.example"}, {"keeper.mirrors", "https://b.example, c.example"}});
  CHECK(contains(test.daemon->check().out, "] mirrors: \"c.example\" is no URL here: it has no scheme"));
  test.daemon->rewriteConfig({{"keeper.mirrors", "https://b.example,HTTPS://A.example:443"}});
  CHECK(contains(test.daemon->check().out, "] mirrors: repeats the issuer"));
  test.daemon->rewriteConfig({{"keeper.mirrors", "https://b.example,HTTPS://C.example:443"}});
  test.daemon->start();
  CHECK(contains(test.daemon->ctl({"config", "show"}).out, "mirrors = https://b.example, https://c.example\n"));
}

TEST_CASE("a plugin that looks at its section reads, and reaches nobody") {
  Keeping test;
  test.daemon->rewriteConfig({{"keeper.issuer", "https://reach.example"}});
  const Finished checked = test.daemon->check();
  CHECK_MESSAGE(checked.status == 0, checked.out);
}

TEST_CASE("a plugin that crashes, hangs or fails when it looks at its section is named, and the daemon serves") {
  Keeping test;
  test.daemon->rewriteConfig({{"plugins.start_timeout", "2s"}, {"plugins.required", ""}});
  test.daemon->start();
  struct Row {
    const char *issuer, *says;
  };
  for (const Row &row :
       {Row{"https://crash.example", "the plugin keeper could not check its section: it died with SIGABRT"},
        Row{"https://hang.example", "the plugin keeper could not check its section: it did not say so within"},
        Row{"https://throw.example",
            "the plugin keeper could not check its section: it says: it does not like the weather"}}) {
    CAPTURE(row.says);
    test.daemon->rewriteConfig({{"keeper.issuer", row.issuer}});
    const Finished checked = test.daemon->check();
    CHECK(checked.status == 78);
    CHECK(contains(checked.out, row.says));
    const Finished reloaded = test.daemon->ctl({"reload"});
    CHECK(reloaded.status != 0);
    CHECK(contains(reloaded.out, row.says));
    CHECK(test.has("the-first-token"));
  }
  // It does not run then; what is not required does not keep the daemon.
  CHECK(test.daemon->stop() == 0);
  test.daemon->rewriteConfig({{"keeper.issuer", "https://crash.example"}});
  test.daemon->start();
  CHECK(member(test.daemon->api("GET", "/plugins/keeper").body, "state") == "failed");
  CHECK(contains(test.daemon->api("GET", "/ready").body, "died with SIGABRT"));
}
