#include "unit/config/Fixture.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

using namespace matrixos::config;
using namespace matrixos::config::test;
namespace fs = std::filesystem;
using Problems = std::vector<std::string>;

namespace {

/// A folder of credentials as systemd makes it.
class Given {
public:
  explicit Given(const std::string &text = "s3cret\n") {
    ::chmod(dir_.write("creds/hook", text).c_str(), 0400);
    ::chmod((dir_ / "creds").c_str(), 0500);
  }
  ~Given() { ::chmod((dir_ / "creds").c_str(), 0700); }

  std::string folder() const { return (dir_ / "creds").string(); }
  std::string file() const { return folder() + "/hook"; }
  std::vector<std::string> environment() const { return {"CREDENTIALS_DIRECTORY=" + folder()}; }

private:
  TempDir dir_;
};

const std::vector<std::string> kSignup{"plugins.enabled=signup"};

ConfigPtr looking(std::string_view text) {
  const TempDir dir;
  LoadOptions options;
  options.file = dir.write("x.ini", text);
  options.sets = kSignup;
  options.onlyLooks = true;
  return validate(load(options), sampleSchema());
}

} // namespace

TEST_CASE("a secret and a path may be systemd credentials, in INI, XML, the environment and on the command line") {
  const Given given;
  const auto secretOf = [&](std::string_view text, std::vector<std::string> sets,
                            const std::vector<std::string> &variables) {
    std::vector<std::string> environment = given.environment();
    environment.insert(environment.end(), variables.begin(), variables.end());
    sets.insert(sets.end(), kSignup.begin(), kSignup.end());
    return configOf(text, sets, environment)->getString("signup", "secret");
  };
  CHECK(secretOf("[signup]\nsecret_file = credential:hook\n", {}, {}) == "s3cret");
  CHECK(secretOf("<matrixos><signup><secret_file>credential:hook</secret_file></signup></matrixos>", {}, {}) ==
        "s3cret");
  CHECK(secretOf("", {}, {"MATRIXOS_SIGNUP_SECRET_FILE=credential:hook"}) == "s3cret");
  CHECK(secretOf("", {"signup.secret_file=credential:hook"}, {}) == "s3cret");
  const auto config = configOf("[platform]\nsecret_file = credential:hook\n", {}, given.environment());
  CHECK(config->getString("platform", "secret_file") == given.file());
}

TEST_CASE("root's credentials, which a group may read where the kernel's access lists say so, are trusted") {
  const Given given;
  if (::geteuid() == 0) CHECK(::chown(given.file().c_str(), 0, 0) == 0);
  ::chmod(given.file().c_str(), 0440);
  CHECK(problemsOf("[signup]\nsecret_file = credential:hook\n", kSignup, given.environment()).empty());
}

TEST_CASE("a credential that is missing is named, with what the unit needs") {
  const Given given;
  const std::string text = "[platform]\nsecret_file = credential:other\n[signup]\nsecret_file = credential:other\n";
  const std::string remedy = "write LoadCredential=other:/path/to/file into the daemon's unit, and restart it";
  const std::string absent = R"(there is no credential "other" in )" + given.folder() + "; " + remedy;
  CHECK(problemsOf(text, kSignup, given.environment()) ==
        Problems{"x.ini:2: [platform] secret_file: " + absent, "x.ini:4: [signup] secret_file: " + absent});
  const std::string none = R"(there is no credential "other", since $CREDENTIALS_DIRECTORY is not set; )" + remedy;
  CHECK(problemsOf(text, kSignup) ==
        Problems{"x.ini:2: [platform] secret_file: " + none, "x.ini:4: [signup] secret_file: " + none});
}

TEST_CASE("a credential is judged as any secret's file is") {
  const Given given("\n");
  CHECK(problemsOf("[signup]\nsecret_file = credential:hook\n", kSignup, given.environment()) ==
        Problems{"x.ini:2: [signup] secret_file: \"" + given.file() + "\" is empty; it has to hold the secret"});
  ::chmod(given.file().c_str(), 0444);
  CHECK(problemsOf("[signup]\nsecret_file = credential:hook\n", kSignup, given.environment()) ==
        Problems{"x.ini:2: [signup] secret_file: \"" + given.file() + "\" is open to other users; run: chmod 600 " +
                 given.file()});
  CHECK(problemsOf("[signup]\nsecret = x\nsecret_file = credential:hook\n", kSignup, given.environment()).size() == 2);
}

TEST_CASE("a name that leads elsewhere is no credential's") {
  const Given given;
  for (const std::string &name :
       {std::string("../x"), std::string("/etc/passwd"), std::string(".."), std::string("."), std::string(""),
        std::string("a:b"), std::string("\xc3\xbc"), std::string(256, 'a')}) {
    CAPTURE(name);
    for (const char *key : {"[platform]\nsecret_file", "[signup]\nsecret_file"}) {
      const std::string text = std::string(key) + " = credential:" + name + "\n";
      const auto problems = problemsOf(text, {"plugins.enabled=signup"}, given.environment());
      REQUIRE_FALSE(problems.empty());
      CHECK(problems.back().find("names no credential; write credential:NAME") != std::string::npos);
      CHECK_THROWS_AS(looking(text), ConfigError);
    }
  }
}

TEST_CASE("the dump shows a credential's name, never what is in it, and so does a difference") {
  const Given given;
  const auto config = configOf("[platform]\nsecret_file = credential:hook\n[engine]\ntoken_file = credential:hook\n",
                               {}, given.environment());
  const std::string text = config->dump();
  CHECK(text.find("\nsecret_file = credential:hook\n") != std::string::npos);
  CHECK(text.find("; x.ini:4, read from credential:hook\n; token = (secret)\n") != std::string::npos);
  CHECK(text.find("s3cret") == std::string::npos);
  const auto changes = diff(*configOf(""), *config);
  REQUIRE(changes.size() == 2);
  CHECK(changes[0].toString() == "[engine] token:  → (secret)");
  CHECK(changes[1].toString() == "[platform] secret_file:  → credential:hook");
}

TEST_CASE("who only looks, and has no credentials, is told what was not looked at") {
  const auto config = looking("[platform]\nsecret_file = credential:admin\n[signup]\nsecret_file = credential:hook\n");
  CHECK(
      config->warnings() ==
      Problems{
          R"([platform] secret_file: "credential:admin" is not looked at: the daemon's unit gives it to the daemon alone)",
          R"([signup] secret_file: "credential:hook" is not looked at: the daemon's unit gives it to the daemon alone)"});
  CHECK(config->find("platform", "secret_file")->unseen);
  CHECK(config->find("signup", "secret")->unseen);
  CHECK(config->find("signup", "secret")->value.text.empty());
}
