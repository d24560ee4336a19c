// matrixosctl as a user's own: login, logout, whoami.
#include "Home.h"
#include "Platform.h"
#include "integration/runtime-simulated/SimulatedPlatform.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>

using namespace matrixos::test;
namespace fs = std::filesystem;

namespace {

mode_t modeOf(const fs::path &path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 07777U : 0;
}

} // namespace

TEST_CASE("login, commands with its sign-in, and logout") {
  const Home home(shared().daemon);
  Browser ada = signedIn("ada");
  const Finished in = home.login([&](const std::string &page) { letIn(ada, page); });
  CHECK_MESSAGE(in.status == 0, in.out);
  CHECK(in.out.find("signed in at " + home.url() + " as ada (ada@localhost) until 2") != std::string::npos);
  CHECK(in.out.find("mxu_") == std::string::npos);
  CHECK(modeOf(home.credentials()) == 0600);
  CHECK(modeOf(home.credentials().parent_path()) == 0700);
  const std::string kept = readFile(home.credentials());
  CHECK(kept.find(home.url()) != std::string::npos);
  const std::string token = kept.substr(kept.find("mxu_"), 47);

  for (const char *option : {"--url", "--api"}) {
    const Finished who = home.ctl({"whoami", option, home.url()});
    CHECK_MESSAGE(who.out.find("ada (ada@localhost): user\ninstances: alice (owner), sleepy (owner)\n") == 0, who.out);
  }
  CHECK(home.ctl({"shares", "list", "alice", "--url", home.url(), "--json"}).status == 0);
  CHECK(home.ctl({"tokens", "list", "--url", home.url()}).status == 77);
  CHECK(home.ctl({"sessions", "list", "--url", home.url()}).out.find("program") != std::string::npos);
  // A secret that is given counts.
  const std::string secret = (shared().daemon.dir() / "data/admin.secret").string();
  CHECK(home.ctl({"whoami", "--url", home.url(), "--secret-file", secret}).out.find("operator") != std::string::npos);

  const Finished out = home.ctl({"logout"});
  CHECK_MESSAGE(out.out == "signed out at " + home.url() + "\n", out.out);
  CHECK(readFile(home.credentials()).find("mxu_") == std::string::npos);
  CHECK(request(shared().daemon.proxyPort(), "GET", "/auth/me",
                {{"Host", "localhost"}, {"Authorization", "Bearer " + token}})
            .status == 401);
  CHECK(home.ctl({"whoami", "--url", home.url()}).status == 77);
  CHECK(home.ctl({"logout"}).status == 1);
}

TEST_CASE("a sign-in anew ends the one before, and one that has ended says what to do") {
  const Home home(shared().daemon);
  Browser ada = signedIn("ada");
  const auto login = [&] { return home.login([&](const std::string &page) { letIn(ada, page); }, {"--json"}); };
  const Finished first = login();
  CHECK_MESSAGE(first.status == 0, first.out);
  CHECK(first.out.find(R"("userCode":")") != std::string::npos);
  CHECK(first.out.find(R"("kind":"program")") != std::string::npos);
  const std::string before = readFile(home.credentials());
  CHECK(login().status == 0);
  CHECK(readFile(home.credentials()) != before);
  CHECK(request(shared().daemon.proxyPort(), "GET", "/auth/me",
                {{"Host", "localhost"}, {"Authorization", "Bearer " + before.substr(before.find("mxu_"), 47)}})
            .status == 401);
  CHECK(shared().daemon.api("DELETE", "/auth/sessions?user=ada").status == 200);
  const Finished ended = home.ctl({"whoami", "--url", home.url()});
  CHECK(ended.status == 77);
  CHECK_MESSAGE(ended.out.find("matrixosctl login --url " + home.url()) != std::string::npos, ended.out);
  CHECK(home.ctl({"logout", "--url", home.url()}).status == 0); // it had ended already
}

TEST_CASE("what a platform elsewhere has is not judged by the configuration here") {
  SimulatedPlatform platform(
      {{"plugins.enabled", "runtime-simulated, orchestrator, lifecycle, social, proxy, signup, identity"},
       {"api.auth", "secret"},
       {"identity.mode", "none"},
       {"identity.allow_sign_up", "true"}});
  const TempDir dir;
  writeFile(dir / "none.ini", "[plugins]\npath = " + (buildDir() / "plugins").string() + "\nenabled =\n");
  const Home home(platform.daemon, dir / "none.ini");
  Browser bob(platform.daemon.proxyPort());
  bob.signInAs("bob", bob.url("console", "/auth/login?return=/auth"));
  CHECK(eventually([&] {
    return bob.fetch("GET", "console", "/auth/me", "console").body.find(R"("handle":"bob")") != std::string::npos;
  }));
  const Finished in = home.login([&](const std::string &page) { letIn(bob, page); });
  CHECK_MESSAGE(in.status == 0, in.out);
  const auto remote = [&](std::vector<std::string> words) {
    words.insert(words.end(), {"--url", home.url()});
    return home.ctl(words);
  };
  const Finished shares = remote({"shares", "list", "bob"});
  CHECK_MESSAGE(shares.out == "ID  USER  EMAIL  ROLE  SINCE\n", shares.out);
  CHECK(remote({"containers", "list", "--quiet"}).out == "bob\n");
  CHECK(remote({"sessions", "list"}).out.find("program") != std::string::npos);
  CHECK(remote({"tokens", "list"}).status == 77);
  const Finished missing = remote({"audit", "list"});
  CHECK(missing.status == 1);
  CHECK_MESSAGE(
      missing.out ==
          "matrixosctl: the platform at " + home.url() +
              " has no command \"audit list\": its plugin audit does not run, or this is not the API's address\n",
      missing.out);
  CHECK(remote({"help", "shares"}).out.find("is not enabled") == std::string::npos);
  CHECK(home.ctl({"help", "shares"}).out.find("(identity is not enabled)") != std::string::npos);

  const std::filesystem::path token = dir / "token";
  writeFile(token,
            member(platform.daemon.api("POST", "/tokens", R"({"name":"x","scopes":"instances:read","ttl":"1h"})").body,
                   "token"));
  fs::permissions(token, fs::perms(0600));
  CHECK(remote({"containers", "list", "--quiet", "--secret-file", token.string()}).out == "bob\n");
  writeFile(token, "mxo_wrong");
  const Finished wrong = remote({"shares", "list", "bob", "--secret-file", token.string()});
  CHECK(wrong.status == 77);
  CHECK_MESSAGE(wrong.out.find("matrixosctl: the secret or token in " + token.string() + " is wrong") == 0, wrong.out);

  // A machine without plugins learns from the daemon what there is, if that tells.
  writeFile(dir / "empty.ini", "[plugins]\npath = none\n");
  const Home bare(platform.daemon, dir / "empty.ini");
  CHECK(bare.login([&](const std::string &page) { letIn(bob, page); }).status == 0);
  for (const char *form : {"shares", "help", "--help"}) {
    const Finished unknown = bare.ctl({form, "shares", "--url", bare.url()});
    CHECK(unknown.status == 64);
    CHECK_MESSAGE(unknown.out.find("matrixosctl: unknown command \"shares\"; the platform at " + bare.url() +
                                   " does not tell you which commands its plugins have: you may not do this") == 0,
                  unknown.out);
  }
  // The console's address is not the API's.
  std::string console = home.url();
  console.insert(7, "console.");
  const Finished there = home.login([&](const std::string &page) { letIn(bob, page); }, {"--url", console});
  CHECK(there.status == 77);
  CHECK_MESSAGE(there.out.find("give the API's address, such as https://api.example.com") != std::string::npos,
                there.out);
  CHECK(readFile(home.credentials()).find("console") == std::string::npos);
}

TEST_CASE("whoever forgets --url reads where they are signed in, and an address that is wrong is named as such") {
  const Home home(shared().daemon);
  Browser ada = signedIn("ada");
  CHECK(home.login([&](const std::string &page) { letIn(ada, page); }).status == 0);
  const TempDir dir;
  writeFile(dir / "x.ini", "[platform]\ndata_dir = data\n");
  const Finished local = home.ctl({"status", "--config", (dir / "x.ini").string()});
  CHECK(local.status == 69);
  CHECK_MESSAGE(local.out.find("(--config=FILE)? You are signed in at " + home.url() + ": add --url " + home.url() +
                               "\n") != std::string::npos,
                local.out);
  std::string tls = home.url();
  tls.insert(4, "s");
  for (const std::string &url : {tls, std::string("https://127.0.0.1:1")}) {
    const Finished away = home.ctl({"whoami", "--url", url});
    CHECK(away.status == 69);
    CHECK_MESSAGE(away.out.find("matrixosctl: cannot reach " + url + ": ") == 0, away.out);
    CHECK_MESSAGE(away.out.find("; check the address, and that this machine trusts the certificate\n") !=
                      std::string::npos,
                  away.out);
  }
}

TEST_CASE("who is not let in, and what is not asked for") {
  const Home home(shared().daemon);
  Browser ada = signedIn("ada");
  const Finished denied = home.login([&](const std::string &page) { letIn(ada, page, "&decision=deny"); });
  CHECK_MESSAGE(denied.status == 77, denied.out);
  CHECK(!fs::exists(home.credentials()));
  for (const char *url : {"api.example.com", "http://api.example.com", "http://localhost.example.com", "ftp://x",
                          "unix:/x.sock", "http://127.0.0.1.example.com", ""})
    CHECK_MESSAGE(home.ctl({"login", "--url", url}).status == 64, url);
  CHECK(home.ctl({"login"}).status == 64);
  CHECK(home.ctl({"whoami", "--url", home.url(), "--api", home.url()}).status == 64);
  CHECK(home.ctl({"logout", "--url", home.url()}).status == 1);
  CHECK(home.ctl({"login", "--url", "http://127.0.0.1:1"}).status == 69);
}

TEST_CASE("a file of credentials that others can read is not used, and a damaged one says so") {
  const Home home(shared().daemon);
  fs::create_directories(home.credentials().parent_path());
  writeFile(home.credentials(), R"({"tokens":{")" + home.url() + R"(":"mxu_x"}})");
  fs::permissions(home.credentials(), fs::perms(0644));
  CHECK(home.ctl({"whoami", "--url", home.url()}).status == 77);
  fs::permissions(home.credentials(), fs::perms(0600));
  CHECK(home.ctl({"whoami", "--url", home.url()}).out.find("you are not signed in at " + home.url() + " any more: ") !=
        std::string::npos);
  writeFile(home.credentials(), "{");
  CHECK(home.ctl({"whoami", "--url", home.url()}).status == 78);
  CHECK(home.ctl({"status"}).status == 0); // the admin socket needs none
}
