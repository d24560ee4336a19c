// What ends is over at once, wherever it is looked up; and what the operator sees of it.
#include "Browser.h"
#include "Platform.h"
#include "support/Wait.h"

#include <doctest/doctest.h>

#include <vector>

using namespace matrixos::test;

TEST_CASE("what ends is over on all loops at once: a session, and a share") {
  IdentityPlatform platform(DaemonProcess::Values{{"proxy.loops", "4"}});
  platform.daemon.start();
  const std::uint16_t port = platform.daemon.proxyPort();
  Browser ada(port), eve(port);
  ada.signInAs("ada", ada.url("alice", "/"));
  const std::string shares = "/containers/alice/shares";
  const Response share = platform.daemon.api("POST", shares, R"({"user":"eve"})");
  REQUIRE(share.status == 201);
  REQUIRE(eve.signInAs("eve", eve.url("alice", "/")).body == "an instance");
  // The loop with the fewest connections gets the next one.
  std::vector<RawConnection> visitors;
  for (int i = 0; i < 8; ++i)
    visitors.emplace_back(port);
  const auto all = [&](const Browser &browser, int status) {
    for (RawConnection &visitor : visitors) {
      visitor.send("GET /data HTTP/1.1\r\nHost: " + browser.host("alice") +
                   "\r\nCookie: matrixos-app=" + browser.cookie("alice", "matrixos-app") + "\r\n\r\n");
      if (visitor.receiveResponse().status != status) return false;
    }
    return true;
  };
  CHECK(all(ada, 200));
  CHECK(all(eve, 200));
  REQUIRE(platform.daemon.api("DELETE", shares + "/" + member(share.body, "id")).status == 200);
  CHECK(all(eve, 403));
  CHECK(all(ada, 200));
  REQUIRE(platform.daemon.api("DELETE", "/auth/sessions?user=ada").status == 200);
  CHECK(all(ada, 401));

  const auto figure = [&](const std::string &series, const std::string &value) {
    return eventually([&] {
      const std::string metrics = platform.daemon.api("GET", "/metrics").body;
      return metrics.find("\n" + series + " " + value + "\n") != std::string::npos;
    });
  };
  CHECK(figure("matrixos_identity_sessions", "1"));
  CHECK(figure("matrixos_identity_sign_ins_total{result=\"ok\"}", "2"));
  CHECK(figure("matrixos_identity_refusals_total{reason=\"not_shared\"}", "8"));
  // And each of them was sent to sign in once.
  CHECK(figure("matrixos_identity_refusals_total{reason=\"no_session\"}", "10"));
  CHECK(ada.open(ada.url("console", "/auth/callback?state=x&name=ada")).status != 200);
  CHECK(figure("matrixos_identity_sign_ins_total{result=\"refused\"}", "1"));
}

TEST_CASE("who is signed out while his instance starts does not get in") {
  IdentityPlatform platform;
  platform.daemon.start();
  Browser ada(platform.daemon.proxyPort());
  const auto become = [&](const std::string &status) {
    CHECK(platform.daemon.api("PUT", "/fixed-instances/sleepy?status=" + status).status == 200);
  };
  REQUIRE(ada.signInAs("ada", ada.url("sleepy", "/")).body == "an instance"); // it starts at once
  become("held");
  RawConnection waits(platform.daemon.proxyPort());
  waits.send("GET /secret HTTP/1.1\r\nHost: " + ada.host("sleepy") +
             "\r\nCookie: matrixos-app=" + ada.cookie("sleepy", "matrixos-app") + "\r\n\r\n");
  CHECK(eventually([&] {
    return platform.daemon.api("GET", "/metrics").body.find("\nmatrixos_proxy_waiting_requests 1\n") !=
           std::string::npos;
  }));
  REQUIRE(platform.daemon.api("DELETE", "/auth/sessions?user=ada").status == 200);
  become("running");
  CHECK(waits.receiveResponse().status == 401);
  for (const std::string &asked : platform.instance.requests())
    CHECK(asked.find("/secret") == std::string::npos);
}
