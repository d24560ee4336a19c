// A database whose file somebody takes away while the daemon runs.
#include "support/DaemonProcess.h"
#include "support/Wait.h"

#include <doctest/doctest.h>

using namespace matrixos::test;
namespace fs = std::filesystem;

TEST_CASE("a database file that was deleted under the daemon makes it unready, and the log says why") {
  DaemonProcess daemon(DaemonProcess::Values{{"plugins.path", (buildDir() / "test-plugins").string()},
                                             {"plugins.enabled", "fake-good"},
                                             {"storage.path", "db"}});
  daemon.start();
  CHECK(daemon.api("GET", "/ready").status == 200);
  const fs::path file = daemon.dir() / "db";
  REQUIRE(fs::remove(file));
  const Response ready = daemon.api("GET", "/ready");
  CHECK(ready.status == 503);
  CHECK(ready.body.find(file.string() + " was deleted while the daemon uses it: nothing is stored any more") !=
        std::string::npos);
  CHECK(eventually([&] { return daemon.log().find("was deleted while the daemon uses it") != std::string::npos; }));
  CHECK(daemon.stop() == 0);
  daemon.start();
  CHECK(daemon.api("GET", "/ready").status == 200);
}
