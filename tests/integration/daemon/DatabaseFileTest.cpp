// What the daemon stores on goes away, or fills up, while it runs.
#include "support/DaemonProcess.h"
#include "support/Wait.h"

#include <doctest/doctest.h>
#include <sys/mount.h>

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

TEST_CASE("a full disk makes the daemon unready and is told; it is ready again once there is room") {
  const TempDir mounted;
  if (::mount("tmpfs", mounted.path().c_str(), "tmpfs", 0, "size=64m,mode=700") != 0) return; // needs root
  {
    DaemonProcess daemon(DaemonProcess::Values{{"plugins.path", (buildDir() / "test-plugins").string()},
                                               {"plugins.enabled", "fake-good"},
                                               {"platform.data_dir", (mounted / "data").string()},
                                               {"api.admin", "unix:<data_dir>/run/admin.sock"}});
    const auto ask = [&](const std::string &target) {
      return request(mounted / "data/run/admin.sock", "GET", target, {});
    };
    daemon.launch();
    REQUIRE(eventually([&] {
      try {
        return ask("/ready").status == 200;
      } catch (const std::exception &) {
        return false;
      }
    }));
    const std::string all(std::size_t{64} << 20U, 'x');
    writeFile(mounted / "filler", all);
    const Response ready = ask("/ready");
    CHECK(ready.status == 503);
    CHECK(ready.body.find("the disk that holds " + (mounted / "data").string() + " is full") != std::string::npos);
    CHECK(eventually([&] { return daemon.log().find("is full: free some space on it") != std::string::npos; }));
    CHECK(ask("/metrics").body.find("matrixos_data_dir_free_bytes 0") != std::string::npos);
    fs::remove(mounted / "filler");
    CHECK(ask("/ready").status == 200);
    CHECK(eventually([&] { return daemon.log().find("can be written again") != std::string::npos; }));
  }
  ::umount2(mounted.path().c_str(), MNT_DETACH);
}
