// What the daemon stores on goes away, or fills up, while it runs.
#include "support/DaemonProcess.h"
#include "support/SmallDisk.h"
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

TEST_CASE("a full disk makes the daemon unready and is told; it is ready again once there is room") {
  const TempDir dir;
  const SmallDisk disk(dir / "disk");
  if (!disk.mounted()) return; // needs root
  const fs::path data = disk.path() / "data";
  DaemonProcess daemon(DaemonProcess::Values{{"plugins.path", (buildDir() / "test-plugins").string()},
                                             {"plugins.enabled", "fake-good"},
                                             {"platform.data_dir", data.string()},
                                             {"api.admin", "unix:<data_dir>/run/admin.sock"}});
  const auto ask = [&](const std::string &target) { return request(data / "run/admin.sock", "GET", target, {}); };
  daemon.launch();
  REQUIRE(eventually([&] {
    try {
      return ask("/ready").status == 200;
    } catch (const std::exception &) {
      return false;
    }
  }));
  disk.fill();
  const Response ready = ask("/ready");
  CHECK(ready.status == 503);
  CHECK(ready.body.find("the disk that holds " + data.string() + " is full") != std::string::npos);
  CHECK(eventually([&] { return daemon.log().find("is full: free some space on it") != std::string::npos; }));
  CHECK(ask("/metrics").body.find("matrixos_data_dir_free_bytes 0") != std::string::npos);
  disk.free();
  CHECK(ask("/ready").status == 200);
  CHECK(eventually([&] { return daemon.log().find("can be written again") != std::string::npos; }));
  CHECK(daemon.stop() == 0);
}

TEST_CASE("a plugin whose copy found no room on the disk is started once there is some") {
  const TempDir dir;
  const SmallDisk disk(dir / "disk");
  if (!disk.mounted()) return;
  disk.fill();
  DaemonProcess daemon(DaemonProcess::Values{{"plugins.path", (buildDir() / "test-plugins").string()},
                                             {"plugins.enabled", "fake-good"},
                                             {"plugins.copies", disk.path().string()}});
  daemon.start();
  const Response ready = daemon.api("GET", "/ready");
  CHECK(ready.status == 503);
  CHECK(ready.body.find("copying the plugin fake-good") != std::string::npos);
  CHECK(ready.body.find("No space left on device") != std::string::npos);
  disk.free();
  CHECK(eventually([&] { return daemon.api("GET", "/ready").status == 200; }));
  CHECK(daemon.stop() == 0);
}
