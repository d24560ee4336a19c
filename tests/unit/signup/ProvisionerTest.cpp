// The sign-ups on the orchestrator's own code and an engine that fails on demand; time is the test's.
#include "signup/Provisioner.h"

#include "../orchestrator/Fixture.h"
#include "Signed.h"

#include <matrixos/ulid.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>
#include <vector>

using namespace matrixos;
using namespace matrixos::signup;
using namespace matrixos::test;

namespace {

constexpr std::int64_t kMinute = 60'000, kHour = 60 * kMinute, kDay = 24 * kHour;

struct Desk {
  Desk() {
    start();
    settings.retryBase = std::chrono::seconds{5};
    configure();
  }
  ~Desk() { stop(); }

  void start() {
    host = std::make_unique<TestHost>(dir / "signup.db");
    provisioner = std::make_shared<Provisioner>(
        host->abi(),
        [this] {
          ++asked;
          if (isAway) throw Error(Status::Unavailable, "nobody provides it", "NO_SERVICE");
          return std::shared_ptr<const mos_orchestrator_v1>(std::shared_ptr<void>(),
                                                            platform.service->orchestrator().table());
        },
        [this] { return now.load(); },
        [this](std::string_view event) {
          const std::lock_guard lock(toldMutex);
          told.emplace_back(event);
        });
    provisioner->begin();
    provisioner->configure(settings);
  }
  void stop() {
    provisioner->end();
    provisioner.reset();
    host.reset();
  }
  void configure() { provisioner->configure(settings); }

  Effect signUp(const std::string &userId, const std::string &username, std::int64_t updatedAt = 1) {
    ++deliveries;
    const std::string id = "msg_" + std::to_string(deliveries);
    const Delivery delivery{"clerk", id, "user.created"};
    Signup signup;
    signup.id = makeUlid();
    signup.person = {userId, username + "@example.org", username};
    signup.wantedHandle = wantedHandle("username", signup.person);
    signup.receivedAt = now;
    return provisioner->store().upsert(&delivery, signup, updatedAt);
  }
  Effect leave(const std::string &userId) {
    ++deliveries;
    const std::string id = "msg_" + std::to_string(deliveries);
    Signup signup;
    signup.id = makeUlid();
    signup.person.userId = userId;
    signup.receivedAt = now;
    return provisioner->store().bury({"clerk", id, "user.deleted"}, signup, now + settings.deleteGrace.count());
  }
  Signup find(const std::string &userId) const { return provisioner->store().find(userId).value_or(Signup{}); }
  /// Passes until the sign-up is in that state.
  bool reaches(const std::string &userId, State state) {
    return eventually([&] {
      provisioner->pass();
      return find(userId).state == state;
    });
  }

  TempDir dir;
  Fixture platform;
  Settings settings;
  std::atomic<std::int64_t> now{1'700'000'000'000};
  std::atomic<bool> isAway{false};
  std::atomic<int> asked{0}; ///< how often for the orchestrator
  int deliveries = 0;
  std::mutex toldMutex;
  std::vector<std::string> told; ///< to the audit logs
  std::unique_ptr<TestHost> host;
  std::shared_ptr<Provisioner> provisioner;
};

} // namespace

TEST_CASE("who signs up has an instance, once, and with the provider's id for its owner") {
  Desk desk;
  CHECK(desk.signUp("user_1", "ada") == Effect::Applied);
  REQUIRE(desk.reaches("user_1", State::Done));
  CHECK(desk.find("user_1").handle == "ada");
  CHECK(desk.find("user_1").attempts == 1);
  CHECK(desk.platform.field("ada", "clerkUserId") == "user_1");
  CHECK(desk.signUp("user_1", "ada-lovelace", 2) == Effect::Applied); // the name is theirs, the handle stays
  desk.provisioner->pass();
  CHECK(desk.find("user_1").wantedHandle == "ada");
  CHECK(desk.find("user_1").person.email == "ada-lovelace@example.org");
  CHECK(desk.signUp("user_1", "older", 1) == Effect::Ignored);
  CHECK(desk.platform.rows("containers") == 1);
  CHECK(eventually([&] { return desk.host->topics() == std::vector<std::string>{"signup.provisioned"}; }));
  CHECK(desk.host->metric("matrixos_signup_provisions_total{result=\"ok\"}") == 1);
  CHECK(desk.host->metric("matrixos_signup_users{state=\"done\"}") == 1);
}

TEST_CASE("a delivery and what it means are written together, or not at all") {
  Desk desk;
  const auto rows = [&](const char *table) {
    return desk.host->database().queryInt(std::string("SELECT count(*) FROM ") + table).value_or(-1);
  };
  int batches = 0;
  desk.host->onBatch([&](const std::string &sql) {
    ++batches;
    CHECK(sql.find("INTO signup_inbox") != std::string::npos);
    CHECK(sql.find("INTO signup_users") != std::string::npos);
  });
  desk.signUp("user_1", "ada");
  desk.leave("user_2");
  CHECK(batches == 2);
  // What fails in the second statement undoes the first.
  desk.host->onBatch({});
  desk.host->database().exec(
      "CREATE TRIGGER full BEFORE INSERT ON signup_users BEGIN SELECT RAISE(ABORT, 'full'); END");
  CHECK_THROWS_AS(desk.signUp("user_3", "bob"), Error);
  CHECK(rows("signup_inbox") == 2);
  desk.host->database().exec("DROP TRIGGER full");
  --desk.deliveries; // the sender tries again
  CHECK(desk.signUp("user_3", "bob") == Effect::Applied);
  --desk.deliveries;
  CHECK(desk.signUp("user_3", "bob") == Effect::Repeated);
  CHECK(rows("signup_inbox") == 3);
  CHECK(rows("signup_users") == 3);
}

TEST_CASE("a handle that is taken or reserved gives way to the next one") {
  Desk desk;
  REQUIRE(desk.platform.provision("ada", "somebody").status == 201);
  desk.signUp("user_1", "ada");
  desk.signUp("user_2", "ada");
  desk.signUp("user_3", "admin");
  REQUIRE(desk.reaches("user_1", State::Done));
  REQUIRE(desk.reaches("user_2", State::Done));
  REQUIRE(desk.reaches("user_3", State::Done));
  // They came at the same time: either may be first.
  const std::string first = desk.find("user_1").handle, second = desk.find("user_2").handle;
  CHECK(std::min(first, second) == "ada-2");
  CHECK(std::max(first, second) == "ada-3");
  CHECK(desk.find("user_1").wantedHandle == "ada");
  CHECK(desk.find("user_3").handle == "admin-2");
  // One that is kept for somebody else is known to the orchestrator alone.
  CHECK(desk.platform.provision("grace", "somebody-else").status == 201);
  CHECK(desk.platform.host->request("DELETE", "/containers/grace").status == 200);
  desk.signUp("user_4", "grace");
  REQUIRE(desk.reaches("user_4", State::Done));
  CHECK(desk.find("user_4").handle == "grace-2");
}

TEST_CASE("nothing is lost while the engine is away for an hour, and everybody sees why") {
  Desk desk;
  desk.platform.runtime.failAlways("create", engineFault());
  for (int i = 0; i < 12; ++i)
    desk.signUp("user_" + std::to_string(i), "name" + std::to_string(i));
  desk.signUp("user_gone", "gone");
  const std::int64_t back = desk.now + kHour;
  int most = 0;
  for (; desk.now < back; desk.now += 30'000) {
    desk.provisioner->pass();
    REQUIRE(eventually([&] {
      desk.provisioner->pass();
      return desk.provisioner->store().counts()[static_cast<std::size_t>(State::Provisioning)] == 0;
    }));
    most = std::max(most, desk.find("user_0").attempts);
  }
  const Signup waits = desk.find("user_0");
  CHECK(waits.state == State::Failed);
  CHECK(waits.lastError.find("engine") != std::string::npos);
  CHECK(waits.nextTryAt > desk.now - 30'000);
  CHECK(waits.nextTryAt <= desk.now + 15 * kMinute);
  CHECK(most >= 6);  // 5 s, 10 s, 20 s … 15 min
  CHECK(most <= 16); // and no more
  CHECK(desk.leave("user_gone") == Effect::Applied);
  CHECK(desk.platform.isClean());

  desk.platform.runtime.failAlways("create", std::nullopt);
  desk.now += 15 * kMinute;
  for (int i = 0; i < 12; ++i)
    CHECK(desk.reaches("user_" + std::to_string(i), State::Done));
  CHECK(desk.platform.rows("containers") == 12);
  CHECK(desk.find("user_gone").state == State::Deleting);
}

TEST_CASE("the orchestrator may be away, too, and the daemon may end in the middle") {
  Desk desk;
  desk.isAway = true;
  desk.signUp("user_1", "ada");
  desk.provisioner->pass();
  CHECK(desk.find("user_1").state == State::Waiting);
  CHECK(desk.host->degraded() == "sign-ups wait: nobody provides it");
  desk.isAway = false;
  desk.platform.runtime.hold("create");
  desk.provisioner->pass();
  CHECK(desk.host->degraded().empty());
  CHECK(desk.find("user_1").state == State::Provisioning);
  REQUIRE(eventually([&] { return desk.platform.runtime.held("create") == 1; }));
  desk.stop();
  desk.platform.runtime.release("create");
  desk.start();
  REQUIRE(desk.reaches("user_1", State::Done));
  CHECK(desk.platform.rows("containers") == 1);
  CHECK(desk.find("user_1").handle == "ada");
}

TEST_CASE("audit logs hear of an instance that was made meanwhile, and of none that somebody else made") {
  Desk desk;
  const auto provisioned = [&] {
    const std::lock_guard lock(desk.toldMutex);
    return std::count_if(desk.told.begin(), desk.told.end(), [](const std::string &event) {
      return event.find("instance provisioned") != std::string::npos;
    });
  };
  desk.platform.runtime.hold("create");
  desk.signUp("user_1", "ada");
  desk.provisioner->pass();
  REQUIRE(eventually([&] { return desk.platform.runtime.held("create") == 1; }));
  desk.stop();
  desk.platform.runtime.release("create");
  REQUIRE(eventually([&] { return desk.platform.field("ada", "status") == "running"; }));
  desk.start();
  REQUIRE(desk.reaches("user_1", State::Done));
  CHECK(provisioned() == 1);

  // An operator is quicker, by a moment, or while it fails.
  desk.host->onBatch([&](const std::string &sql) {
    if (sql.find("SET state = 'provisioning'") == std::string::npos) return;
    desk.host->onBatch({});
    CHECK(desk.platform.provision("babbage", "user_2").status == 201);
  });
  desk.signUp("user_2", "bob");
  REQUIRE(desk.reaches("user_2", State::Done));
  CHECK(desk.find("user_2").handle == "babbage");
  desk.platform.runtime.failNext("create", engineFault());
  desk.signUp("user_3", "cyd");
  REQUIRE(desk.reaches("user_3", State::Failed));
  CHECK(desk.platform.provision("cyd", "user_3").status == 201);
  desk.now += kHour;
  REQUIRE(desk.reaches("user_3", State::Done));
  CHECK(provisioned() == 1);
}

TEST_CASE("of a deleted user all goes after the time of grace, and nothing comes back") {
  Desk desk;
  desk.signUp("user_1", "ada");
  REQUIRE(desk.reaches("user_1", State::Done));
  CHECK(desk.leave("user_1") == Effect::Applied);
  CHECK(desk.leave("user_1") == Effect::Ignored);
  CHECK(desk.signUp("user_1", "ada", 99) == Effect::Ignored);
  CHECK(desk.leave("user_2") == Effect::Applied); // before user.created comes
  CHECK(desk.signUp("user_2", "bob") == Effect::Ignored);
  desk.now += 7 * kDay - 1;
  desk.provisioner->pass();
  CHECK(desk.platform.field("ada", "status") == "running");
  desk.platform.runtime.failNext("remove", engineFault());
  desk.now += 1;
  for (int i = 0; i < 20 && desk.find("user_1").state != State::Deleted; ++i) {
    CHECK(eventually([&] {
      desk.provisioner->pass();
      return desk.find("user_1").state == State::Deleted || desk.find("user_1").attempts > i;
    }));
    desk.now += kMinute;
  }
  CHECK(desk.find("user_1").state == State::Deleted);
  CHECK(desk.reaches("user_2", State::Deleted));
  CHECK(desk.platform.rows("containers") == 0);
  CHECK(desk.find("user_1").person.email.empty());
  CHECK(desk.signUp("user_1", "ada", 100) == Effect::Ignored);

  // A late call of somebody else made one.
  REQUIRE(desk.platform.provision("bob", "user_2").status == 201);
  desk.provisioner->reconcile();
  CHECK(desk.find("user_2").state == State::Deleting);
  CHECK(desk.reaches("user_2", State::Deleted));
  CHECK(desk.platform.rows("containers") == 0);
}

TEST_CASE("a deletion that fails is tried again, and is no failed provision") {
  Desk desk;
  desk.settings.deleteGrace = std::chrono::milliseconds{0};
  desk.configure();
  desk.signUp("user_1", "ada");
  REQUIRE(desk.reaches("user_1", State::Done));
  desk.platform.runtime.failAlways("remove", engineFault());
  CHECK(desk.leave("user_1") == Effect::Applied);
  const auto passesUntil = [&](const auto &condition) {
    return eventually([&] {
      desk.now += kMinute;
      desk.provisioner->pass();
      return condition(desk.find("user_1"));
    });
  };
  REQUIRE(passesUntil([](const Signup &signup) { return signup.attempts > 1; }));
  CHECK(desk.find("user_1").state == State::Deleting);
  CHECK(desk.find("user_1").lastError.find("engine") != std::string::npos);
  desk.platform.runtime.failAlways("remove", std::nullopt);
  REQUIRE(passesUntil([](const Signup &signup) { return signup.state == State::Deleted; }));
  CHECK(desk.host->metric("matrixos_signup_provisions_total{result=\"failed\"}") == 0);
  CHECK(desk.host->metric("matrixos_signup_deletions_total") == 1);
  const std::vector<std::string> told{"signup.provisioned", "signup.deleted"};
  CHECK(eventually([&] { return desk.host->topics().size() >= told.size(); }));
  CHECK(desk.host->topics() == told);
}

TEST_CASE("a user who goes while the instance is being made: it goes, too") {
  Desk desk;
  desk.settings.deleteGrace = std::chrono::milliseconds{0};
  desk.configure();
  desk.platform.runtime.hold("create");
  desk.signUp("user_1", "ada");
  desk.provisioner->pass();
  REQUIRE(eventually([&] { return desk.platform.runtime.held("create") == 1; }));
  CHECK(desk.leave("user_1") == Effect::Applied);
  desk.provisioner->pass();
  CHECK(desk.find("user_1").state == State::Deleting);
  desk.platform.runtime.release("create");
  REQUIRE(desk.reaches("user_1", State::Deleted));
  CHECK(desk.platform.rows("containers") == 0);
}

TEST_CASE("while a deletion runs the instances are not listed again and again") {
  Desk desk;
  desk.settings.deleteGrace = std::chrono::milliseconds{0};
  desk.configure();
  for (const char *user : {"user_1", "user_2"})
    desk.signUp(user, user);
  REQUIRE(desk.reaches("user_1", State::Done));
  REQUIRE(desk.reaches("user_2", State::Done));
  desk.platform.runtime.hold("remove");
  CHECK(desk.leave("user_1") == Effect::Applied);
  desk.provisioner->pass();
  REQUIRE(eventually([&] { return desk.platform.runtime.held("remove") == 1; }));
  const int asked = desk.asked;
  for (int i = 0; i < 5; ++i)
    desk.provisioner->pass();
  CHECK(desk.asked == asked);
  // It holds up nobody else's.
  CHECK(desk.leave("user_2") == Effect::Applied);
  desk.provisioner->pass();
  CHECK(desk.asked == asked + 1);
  REQUIRE(eventually([&] { return desk.platform.runtime.held("remove") == 2; }));
  desk.platform.runtime.release("remove");
  CHECK(desk.reaches("user_1", State::Deleted));
  CHECK(desk.reaches("user_2", State::Deleted));
}

TEST_CASE("whoever is deleted is counted so at once, long before the instance goes") {
  Desk desk;
  desk.signUp("user_1", "ada");
  REQUIRE(desk.reaches("user_1", State::Done));
  desk.provisioner->pass();
  CHECK(desk.host->metric("matrixos_signup_users{state=\"done\"}") == 1);
  CHECK(desk.leave("user_1") == Effect::Applied);
  desk.provisioner->kick(); // as the webhook does
  CHECK(eventually([&] { return desk.host->metric("matrixos_signup_users{state=\"deleting\"}") == 1; }));
  CHECK(desk.host->metric("matrixos_signup_users{state=\"done\"}") == 0);
}

TEST_CASE("above max_instances they wait, the first come first") {
  Desk desk;
  desk.settings.maxInstances = 2;
  desk.configure();
  for (const char *name : {"ada", "bob", "cyd", "dan"}) {
    desk.now += 1;
    desk.signUp(std::string("user_") + name, name);
  }
  CHECK(desk.reaches("user_ada", State::Done));
  CHECK(desk.reaches("user_bob", State::Done));
  desk.now += kMinute;
  desk.provisioner->pass();
  CHECK(desk.find("user_cyd").state == State::Waiting);
  CHECK(desk.find("user_cyd").lastError.find("max_instances") != std::string::npos);
  CHECK(desk.platform.host->request("DELETE", "/containers/ada").status == 200);
  desk.now += kMinute;
  CHECK(desk.reaches("user_cyd", State::Done));
  CHECK(desk.find("user_cyd").lastError.empty());
  CHECK(desk.find("user_dan").state == State::Waiting);
  CHECK(desk.platform.rows("containers") == 2);
}

TEST_CASE("an instance that an operator made is the user's; one that has gone is told of") {
  Desk desk;
  REQUIRE(desk.platform.provision("lovelace", "user_1").status == 201);
  desk.signUp("user_1", "ada");
  REQUIRE(desk.reaches("user_1", State::Done));
  CHECK(desk.find("user_1").handle == "lovelace");
  CHECK(desk.platform.rows("containers") == 1);

  REQUIRE(desk.platform.host->request("DELETE", "/containers/lovelace").status == 200);
  desk.provisioner->reconcile();
  CHECK(desk.find("user_1").state == State::Failed);
  CHECK(desk.find("user_1").nextTryAt == 0);
  CHECK(desk.find("user_1").lastError.find("is gone") != std::string::npos);
  desk.now += kDay;
  desk.provisioner->pass();
  CHECK(desk.platform.rows("containers") == 0); // it may have been taken on purpose
  CHECK(desk.provisioner->retry("user_1").state == State::Waiting);
  REQUIRE(desk.reaches("user_1", State::Done));
  CHECK(desk.platform.rows("containers") == 1);
  CHECK_THROWS_AS(desk.provisioner->retry("user_1"), Error);
  CHECK_THROWS_AS(desk.provisioner->retry("nobody"), Error);
}

TEST_CASE("a clock that was ahead does not keep anybody waiting") {
  Desk desk;
  desk.platform.runtime.failNext("create", engineFault());
  desk.now += 365 * kDay;
  desk.signUp("user_1", "ada");
  REQUIRE(desk.reaches("user_1", State::Failed));
  desk.now -= 365 * kDay;
  CHECK(desk.reaches("user_1", State::Done));
}
