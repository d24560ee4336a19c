// The console on another host than console.<domain>.
#include "Browser.h"
#include "Platform.h"

#include <doctest/doctest.h>

using namespace matrixos::test;

namespace {

Headers navigation(const std::string &host) {
  return {{"Host", host}, {"Sec-Fetch-Mode", "navigate"}, {"Sec-Fetch-Dest", "document"}};
}

} // namespace

TEST_CASE("people sign in on the host that the operator chose, and reach their instances from there") {
  IdentityPlatform platform(
      DaemonProcess::Values{{"platform.domain", "localhost"}, {"platform.console_host", "start.localhost"}});
  platform.daemon.start();
  Browser ada(platform.daemon.proxyPort(), "start");
  const Response page = ada.signInAs("ada", ada.url("alice", "/deep?x=1"));
  CHECK(page.body == "an instance");
  CHECK(platform.lastRequest().find("GET /deep?x=1 ") == 0);
  CHECK(platform.lastRequest().find("X-Matrix-User: ada") != std::string::npos);
  CHECK_FALSE(ada.cookie("start", "matrixos").empty());
  CHECK(ada.fetch("GET", "start", "/auth/me", "start").status == 200);
  CHECK(ada.fetch("GET", "start", "/api/containers/alice/shares", "start").status == 200);
  // Pages of instances are another origin as ever, and the usual name is nobody's.
  CHECK(ada.fetch("POST", "start", "/auth/logout", "alice").status == 403);
  ada.setCookie("console", "matrixos", ada.cookie("start", "matrixos"));
  CHECK(ada.fetch("GET", "console", "/auth/me", "console").status == 421);
  ada.signInAs("ada", ada.url("start", "/auth/login?return=" + ada.url("console", "/")));
  CHECK(ada.visited.back().find(ada.url("start", "/")) == 0);
  CHECK(ada.fetch("POST", "start", "/auth/logout", "start").status == 200);
  CHECK(ada.fetch("GET", "alice", "/", "alice").status == 401);
}

TEST_CASE("beside the domain it is where instances send people, and no instance's host") {
  IdentityPlatform platform(
      DaemonProcess::Values{{"platform.domain", "matrix.test"}, {"platform.console_host", "start.example.org"}});
  platform.daemon.start();
  const auto get = [&](const std::string &host, const std::string &target) {
    return request(platform.daemon.proxyPort(), "GET", target, navigation(host));
  };
  const std::string away = get("alice.matrix.test", "/").headers.at("location");
  CHECK(away.find("https://start.example.org/auth/authorize?host=alice.matrix.test&nonce=") == 0);
  CHECK(get("start.example.org", "/auth/login").status == 303);
  CHECK(get("start.example.org", "/api/health").status == 200);
  CHECK(get("console.matrix.test", "/auth/login").status == 421);
  CHECK(get("example.org", "/auth/login").status == 421);
  CHECK(get("alice.example.org", "/").status == 421);
  CHECK(get("console.localhost", "/auth/login").status == 303); // this machine's own
}

TEST_CASE("a host that cannot be the console's is refused") {
  IdentityPlatform platform(
      DaemonProcess::Values{{"platform.domain", "matrix.test"}, {"platform.console_host", "api.matrix.test"}});
  const Finished said = platform.daemon.check();
  CHECK(said.status != 0);
  CHECK_MESSAGE(said.out.find("[platform] console_host: \"api.matrix.test\" is a host of the platform already") !=
                    std::string::npos,
                said.out);
}
