// The pages are executed: each configuration in them passes --check, each command in them is run against a real
// platform.
#include "support/DaemonProcess.h"
#include "support/Wait.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <sstream>

using namespace matrixos;
using namespace matrixos::test;
namespace fs = std::filesystem;

namespace {

struct Block {
  std::string language, text;
};

/// The fenced blocks of a page.
std::vector<Block> blocksOf(const fs::path &page) {
  std::vector<Block> blocks;
  std::istringstream in(readFile(page));
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("```", 0) == 0) {
      inside = !inside;
      if (inside) blocks.push_back({line.substr(3), ""});
    } else if (inside) {
      blocks.back().text += line + "\n";
    }
  }
  return blocks;
}

/// Commands that begin with one of ours or with curl; continued lines joined.
std::vector<std::string> commandsOf(const fs::path &page) {
  std::vector<std::string> commands;
  for (const Block &block : blocksOf(page)) {
    std::string text = block.text;
    for (std::size_t at = text.find("\\\n"); at != std::string::npos; at = text.find("\\\n"))
      text.replace(at, 2, " ");
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
      if (line.rfind("curl ", 0) == 0 || line.rfind("matrixosctl ", 0) == 0) commands.push_back(line);
    }
  }
  return commands;
}

void replaceAll(std::string &text, const std::string &from, const std::string &to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

fs::path sourceDir() {
  return MATRIXOS_SOURCE_DIR;
}

std::vector<fs::path> pages() {
  std::vector<fs::path> list{sourceDir() / "README.md"};
  for (const auto &entry : fs::directory_iterator(sourceDir() / "plugins")) {
    if (fs::exists(entry.path() / "README.md")) list.push_back(entry.path() / "README.md");
  }
  return list;
}

/// Pages of operators, whose examples stand in /etc/matrixos.
std::vector<fs::path> operatorsPages() {
  std::vector<fs::path> list;
  for (const char *name : {"clerk.md", "oidc.md", "tokens.md", "secrets.md", "anthropic.md"})
    list.push_back(sourceDir() / "packaging" / name);
  return list;
}

/// The configuration with the secrets that it names in a folder of the test's own.
std::string withSecrets(std::string text, const TempDir &dir) {
  const std::string etc = "/etc/matrixos", key = "_file = " + etc + "/";
  for (std::size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + 1)) {
    const std::size_t begin = at + key.size();
    const fs::path file = dir / text.substr(begin, text.find('\n', begin) - begin);
    writeFile(file, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"); // also fit for what asks for no such shape
    fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
  }
  replaceAll(text, etc, dir.path().string());
  return text;
}

/// A page's command with the names of this test in place of the documentation's.
std::string adapted(std::string command, const DaemonProcess &daemon, const std::string &alice,
                    const std::string &bob) {
  replaceAll(command, ":9000", ":" + std::to_string(daemon.proxyPort()));
  replaceAll(command, "/var/lib/matrixos/run/admin.sock", daemon.adminSocket().string());
  replaceAll(command, "alice", alice);
  replaceAll(command, "bob", bob);
  replaceAll(command, "user_1", "user_of_" + alice);
  if (command.rfind("matrixosctl ", 0) == 0) {
    return (buildDir() / "bin/matrixosctl").string() + " --config=" + daemon.configFile().string() + command.substr(11);
  }
  // The answer's status instead of its body.
  return "curl -sS -o /dev/null -w '%{http_code}' " + command.substr(5);
}

void provision(const DaemonProcess &daemon, const std::string &handle) {
  const Response made = daemon.api("POST", "/containers/provision",
                                   R"({"handle":")" + handle + R"(","clerkUserId":"user_of_)" + handle + R"("})");
  REQUIRE(made.status / 100 == 2);
  REQUIRE(eventually([&] { return daemon.web(handle + ".localhost", "/api/health").status == 200; }));
}

} // namespace

TEST_CASE("every configuration in the pages is valid") {
  int checked = 0;
  std::vector<fs::path> all = pages(), more = operatorsPages();
  all.insert(all.end(), more.begin(), more.end());
  for (const fs::path &page : all) {
    for (const Block &block : blocksOf(page)) {
      if (block.language != "ini") continue;
      const TempDir dir;
      writeFile(dir / "page.ini", withSecrets(block.text, dir));
      const Finished result = run({(buildDir() / "bin/matrixosd").string(), "--config=" + (dir / "page.ini").string(),
                                   "--set", "plugins.path=" + (buildDir() / "plugins").string(), "--check"});
      CAPTURE(page.string());
      CAPTURE(block.text);
      CAPTURE(result.out);
      CHECK(result.status == 0);
      ++checked;
    }
  }
  CHECK(checked >= 11);
}

TEST_CASE("every command in the pages does what the page says" * doctest::skip(!engineAnswers())) {
  DaemonProcess daemon(
      DaemonProcess::Values{{"plugins.enabled", "runtime-docker, orchestrator, lifecycle, social, proxy, audit"}});
  daemon.start();
  int ran = 0;
  for (const fs::path &page : pages()) {
    const std::vector<std::string> commands = commandsOf(page);
    if (commands.empty()) continue;
    CAPTURE(page.string());
    const std::string alice = uniqueHandle("doca"), bob = uniqueHandle("docb");
    const std::string whole = readFile(page);
    const bool signsUp = whole.find("containers provision alice") != std::string::npos ||
                         whole.find("/containers/provision\n") != std::string::npos;
    if (!signsUp) provision(daemon, alice);
    provision(daemon, bob);
    for (const std::string &command : commands) {
      const Finished result = run({"sh", "-c", adapted(command, daemon, alice, bob)});
      CAPTURE(command);
      CAPTURE(result.out);
      CHECK(result.status == 0);
      // A comment may promise a status: "# 404 …".
      const std::size_t promise = command.find("# ");
      const bool promised =
          promise != std::string::npos && std::isdigit(static_cast<unsigned char>(command[promise + 2]));
      const std::string expected = promised ? command.substr(promise + 2, 3) : "20";
      if (command.rfind("curl ", 0) == 0) CHECK(result.out.rfind(expected, 0) == 0);
      ++ran;
    }
    for (const std::string &handle : {alice, bob})
      daemon.api("DELETE", "/containers/" + handle);
  }
  CHECK(ran >= 10);
}
