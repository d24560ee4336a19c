/// What a full disk under the database means for those who wait, on the simulated engine.
#include "SimulatedPlatform.h"
#include "support/SmallDisk.h"

using namespace matrixos;
using namespace matrixos::test;

TEST_CASE("while the disk is full, wakes and provisions fail at once and say why; they go on when there is room") {
  const TempDir dir;
  const SmallDisk disk(dir / "disk");
  if (!disk.mounted()) return; // needs root
  const std::string database = (disk.path() / "matrixos.db").string();
  SimulatedPlatform platform(DaemonProcess::Values{{"storage.path", database}});
  const std::string why = "the disk that holds " + database + " is full";
  const auto says = [](const std::string &text, const std::string &what) {
    return text.find(what) != std::string::npos;
  };
  CHECK(says(platform.daemon.api("GET", "/metrics").body, "\nmatrixos_users_dir_free_bytes "));
  REQUIRE(platform.provision("alice").status == 201);
  REQUIRE(platform.provision("carol").status == 201);
  CHECK(platform.daemon.api("POST", "/containers/alice/stop").status == 200);
  disk.fill();
  const Response woken = platform.daemon.web("alice.localhost", "/");
  CHECK(woken.status == 503);
  CHECK(says(woken.body, "DISK_FULL"));
  CHECK(says(platform.daemon.api("POST", "/containers/alice/start").body, why));
  CHECK(says(platform.provision("bobby").body, why));
  CHECK(platform.daemon.api("GET", "/ready").status == 503);
  CHECK(says(platform.daemon.api("GET", "/ready").body, "the disk that holds " + disk.path().string() + " is full"));
  CHECK(says(platform.daemon.log(), why));

  // What ends now cannot be written down, and who asks for it hears so rather than wait for an address that is no more.
  platform.control("POST", "instances/matrixos-carol/die", R"({"exitCode":3,"restart":false})");
  REQUIRE(eventually([&] { return platform.rows().at("matrixos-carol") == "failed"; }));
  CHECK(says(platform.daemon.api("GET", "/containers/carol").body, why));
  const Response ended = platform.daemon.web("carol.localhost", "/");
  CHECK(ended.status == 503);
  CHECK(says(ended.body, "DISK_FULL"));

  disk.free();
  CHECK(platform.daemon.api("GET", "/ready").status == 200);
  CHECK(eventually([&] { return platform.rows().at("matrixos-carol") == "stopped"; }));
  CHECK(platform.provision("bobby").status == 201);
  CHECK(platform.daemon.api("POST", "/containers/alice/start").status == 200);
  CHECK(platform.daemon.api("POST", "/containers/carol/start").status == 200);
  platform.daemon.kill();
  platform.daemon.start();
  CHECK(platform.rows() == platform.containers());
}

TEST_CASE(
    "on a full users_dir nobody new is provisioned, and operators see why; who has a home is woken all the same") {
  const TempDir dir;
  const SmallDisk disk(dir / "disk");
  if (!disk.mounted()) return;
  SimulatedPlatform platform(DaemonProcess::Values{{"orchestrator.users_dir", (disk.path() / "users").string()}});
  const std::string why = "the disk that holds " + (disk.path() / "users").string() + " is full";
  const auto shown = [&] { return platform.daemon.api("GET", "/ready").body.find(why) != std::string::npos; };
  REQUIRE(platform.provision("alice").status == 201);
  CHECK(platform.daemon.api("POST", "/containers/alice/stop").status == 200);
  disk.fill();
  const Response refused = platform.provision("bobby");
  CHECK(refused.status == 503);
  CHECK(refused.body.find(why) != std::string::npos);
  CHECK(platform.daemon.api("GET", "/containers/bobby").status == 404);
  CHECK(platform.daemon.api("POST", "/containers/alice/start").status == 200);
  CHECK(eventually(shown));
  disk.free();
  CHECK(platform.provision("bobby").status == 201);
  CHECK(eventually([&] { return !shown(); }));
}
