/// What deleted instances leave behind: their data and the reservation of their handles.
#include "Fixture.h"

#include <matrixos/text/time.hpp>

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

using namespace matrixos;
using namespace matrixos::test;

namespace fs = std::filesystem;

namespace {

/// alice was deleted; her data is in the trash, as a runtime with directories leaves it.
struct Deleted : Fixture {
  explicit Deleted(std::chrono::milliseconds keep = std::chrono::hours(1)) : Fixture(false) {
    settings.trashKeep = keep;
    start();
    REQUIRE(provision("alice", "user_1").status == 201);
    id = field("alice", "id");
    REQUIRE(host->request("DELETE", "/containers/alice").status == 200);
    fs::create_directories(users() / ".trash" / id / "matrixos");
    std::ofstream(users() / ".trash" / id / "matrixos/file") << "mine";
    std::ofstream(users() / ".matrixos-install") << settings.installId << "\n";
  }
  fs::path users() const { return settings.usersDir; }
  fs::path item() const { return users() / ".trash" / id; }
  std::string list() { return host->request("GET", "/trash").body; }

  std::string id;
};

} // namespace

TEST_CASE("the trash is listed with whose it was, and put back for the owner's next provision") {
  Deleted f;
  CHECK(f.list().find(R"([{"id":")" + f.id + R"(","handle":"alice","clerkUserId":"user_1","deletedAt":")") == 0);
  const std::string restore = "/trash/" + f.id + "/restore";
  // Not over what somebody has by now.
  REQUIRE(f.provision("alice", "user_1").status == 201);
  CHECK(f.host->request("POST", restore).status == 412);
  REQUIRE(f.host->request("DELETE", "/containers/alice").status == 200);
  fs::create_directory(f.users() / "alice");
  CHECK(f.host->request("POST", "/trash/nothing/restore").status == 404);
  CHECK(fs::exists(f.item()));
}

TEST_CASE("what is put back lies where the owner's home is") {
  Deleted f;
  CHECK(f.host->request("POST", "/trash/" + f.id + "/restore").body == R"({"ok":true,"handle":"alice"})");
  CHECK(fs::exists(f.users() / "alice/matrixos/file"));
  CHECK(f.list() == "[]");
}

TEST_CASE("the trash is removed by hand, and of itself after its time") {
  SUBCASE("by hand") {
    Deleted f;
    f.service->expireTrash();
    CHECK(fs::exists(f.item()));
    for (const char *bad : {"nothing", "..", ".hidden"})
      CHECK(f.host->request("DELETE", std::string("/trash/") + bad).status == 404);
    CHECK(f.host->request("DELETE", "/trash/" + f.id).status == 200);
    CHECK_FALSE(fs::exists(f.item()));
    CHECK(fs::exists(f.users() / ".trash"));
  }
  SUBCASE("after its time") {
    Deleted f(std::chrono::milliseconds(1));
    CHECK(eventually([&] {
      f.service->expireTrash();
      return !fs::exists(f.item());
    }));
  }
  SUBCASE("never") {
    Deleted f(std::chrono::milliseconds(0));
    const auto now = wallClockMs();
    REQUIRE(eventually([&] { return wallClockMs() > now + 2; }));
    f.service->expireTrash();
    CHECK(fs::exists(f.item()));
  }
}

TEST_CASE("another installation's trash, and a link in place of one, are left alone") {
  Deleted f(std::chrono::milliseconds(1));
  const fs::path elsewhere = f.root / "elsewhere";
  SUBCASE("another installation") {
    std::ofstream(f.users() / ".matrixos-install") << "01ANOTHER\n";
  }
  SUBCASE("a link") {
    fs::rename(f.users() / ".trash", elsewhere);
    fs::create_directory_symlink(elsewhere, f.users() / ".trash");
  }
  const auto now = wallClockMs();
  REQUIRE(eventually([&] { return wallClockMs() > now + 2; }));
  f.service->expireTrash();
  CHECK(fs::exists(f.item() / "matrixos/file"));
  CHECK(f.host->request("DELETE", "/trash/" + f.id).status / 100 == 4);
  CHECK(fs::exists(f.item() / "matrixos/file"));
}

TEST_CASE("a handle is released for others") {
  Deleted f;
  CHECK(f.provision("alice", "user_2").status == 409);
  CHECK(f.host->request("POST", "/handles/alice/release").status == 200);
  CHECK(f.host->request("POST", "/handles/alice/release").status == 404);
  CHECK(f.host->request("POST", "/handles/nobody/release").status == 404);
  f.restart();
  CHECK(f.provision("alice", "user_2").status == 201);
}
