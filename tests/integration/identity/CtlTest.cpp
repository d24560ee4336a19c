// matrixosctl as a user's own: login, logout, whoami.
#include "Home.h"
#include "Platform.h"

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
  CHECK(home.ctl({"whoami", "--url", home.url()}).out.find("sign in again") != std::string::npos);
  writeFile(home.credentials(), "{");
  CHECK(home.ctl({"whoami", "--url", home.url()}).status == 78);
  CHECK(home.ctl({"status"}).status == 0); // the admin socket needs none
}
