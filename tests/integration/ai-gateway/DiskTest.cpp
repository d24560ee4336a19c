/// A disk that is full, below the daemon's data.
#include "Audit.h"

#include <doctest/doctest.h>
#include <support/SmallDisk.h>
#include <support/Text.h>
#include <support/Wait.h>

#include <set>
#include <vector>

using namespace matrixos::test;

namespace {

/// A platform whose data lie on a disk that can be filled.
struct FullDiskScene {
  FullDiskScene() {
    platform.daemon.stop();
    disk.emplace(platform.daemon.dir() / "data"); // above what the daemon has made there
    platform.daemon.start();
  }
  ~FullDiskScene() {
    if (platform.daemon.running()) platform.daemon.stop();
  }

  LabelledCall next(const std::string &words = "text=2") {
    const std::string n = std::to_string(++last_);
    return {"call-" + n, words + " input=1" + n.substr(n.size() - 1) + " output=" + n, last_ % 2 == 0};
  }
  Response call(RawConnection &connection, const LabelledCall &call) const {
    connection.send(call.request());
    return connection.receiveResponse();
  }
  /// Calls until one is refused, which it returns.
  Response callUntilRefused() {
    RawConnection connection(platform.port());
    for (int i = 0; i < 20'000; ++i) {
      const LabelledCall one = next();
      Response answer = call(connection, one);
      if (answer.status != 200) return answer;
      served.insert(one.label);
    }
    return {};
  }
  bool isWritten() const {
    return has(platform.daemon.api("GET", "/metrics").body, "\nmatrixos_ai_gateway_unwritten_calls 0\n");
  }
  /// Rows are those of the calls that were served, and what the upstream billed.
  void compare() const {
    CHECK(eventually([&] { return isWritten(); }));
    const Audit audit(platform);
    CHECK(audit.rows().size() == served.size());
    CHECK(audit.bills().size() == served.size());
    for (const std::string &label : served)
      CHECK_MESSAGE(audit.isExact(label), audit.tell(label));
  }

  GatewayPlatform platform;
  std::optional<SmallDisk> disk;
  std::set<std::string> served;

private:
  int last_ = 0;
};

} // namespace

TEST_CASE("on a full disk calls are refused, who calls and who operates is told why, and nothing is lost") {
  FullDiskScene scene;
  if (!scene.disk->mounted()) return; // nobody but root has one
  const GatewayPlatform &platform = scene.platform;
  RawConnection first(platform.port());
  const LabelledCall before = scene.next();
  REQUIRE(scene.call(first, before).status == 200);
  scene.served.insert(before.label);

  std::vector<RawConnection> underWay;
  for (int i = 0; i < 10; ++i) {
    const LabelledCall one = scene.next("text=2 first=1000");
    underWay.emplace_back(platform.port());
    underWay.back().send(one.request());
    scene.served.insert(one.label);
  }
  CHECK(eventually([&] { return has(platform.upstream.counters(), R"("open":10,)"); }));
  scene.disk->fill();
  const Response refused = scene.callUntilRefused();
  CHECK(refused.status == 529);
  CHECK(has(refused.body, "overloaded_error"));
  CHECK(has(refused.body, "cannot write down what calls cost"));
  CHECK(refused.headers.at("retry-after") == "10");
  CHECK(eventually([&] { return has(platform.daemon.log(), "No space left on device"); }));
  CHECK(eventually([&] { return platform.daemon.api("GET", "/ready").status == 503; }));
  CHECK(has(platform.daemon.api("GET", "/ready").body, "cannot be written"));
  for (RawConnection &connection : underWay)
    CHECK(connection.receiveResponse().status == 200);

  scene.disk->free();
  RawConnection again(platform.port());
  LabelledCall one = scene.next();
  CHECK(eventually([&] {
    one = scene.next();
    return scene.call(again, one).status == 200;
  }));
  scene.served.insert(one.label);
  scene.compare();
  CHECK(eventually([&] { return platform.daemon.api("GET", "/ready").status == 200; }));
}

TEST_CASE("killed on a full disk, the daemon has every call once there is room again") {
  FullDiskScene scene;
  if (!scene.disk->mounted()) return;
  scene.disk->fill();
  CHECK(scene.callUntilRefused().status == 529);
  CHECK(eventually([&] { return holdsNothing(scene.platform); }));
  scene.platform.daemon.kill();
  scene.disk->free();
  scene.platform.daemon.start();
  scene.compare();
  CHECK(scene.served.size() > 10);
}
