// Sign-ups in the real daemon, on the simulated engine.
#include "integration/runtime-simulated/SimulatedPlatform.h"
#include "unit/signup/Signed.h"

#include <matrixos/text/time.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace matrixos;
using namespace matrixos::test;
namespace fs = std::filesystem;

namespace {

/// A message of the sender's, which keeps its id however often it is delivered.
struct Message {
  std::string id, body;
};

/// A platform whose API asks for the secret, with a webhook of the vector's key.
class Clinic {
public:
  explicit Clinic(DaemonProcess::Values values = {}) : platform(withDefaults(std::move(values))) {}

  /// Through the proxy, as a tunnel brings it; the answer's status, 0 for none.
  Response deliver(const Message &message, const std::string &secret = kWebhookSecret) const {
    Headers headers = signedFields(message.id, wallClockMs() / 1000, message.body, secret);
    headers.insert(headers.begin(), {"Host", "localhost"});
    try {
      return request(platform.daemon.proxyPort(), "POST", "/webhooks/clerk", headers, message.body);
    } catch (const std::exception &) {
      return {};
    }
  }
  /// What /signups says, by user.
  std::map<std::string, std::string> states() const {
    std::map<std::string, std::string> states;
    const auto root = json::parse(platform.daemon.api("GET", "/signups").body);
    for (const json::Value &item : *root.extract<json::Array::Ptr>()) {
      const auto object = item.extract<json::Object::Ptr>();
      states[json::getString(*object, "userId")] = json::getString(*object, "state");
    }
    return states;
  }
  /// Users of the instances, as often as they have one.
  std::multiset<std::string> owners() const {
    std::multiset<std::string> owners;
    const auto root = json::parse(platform.daemon.api("GET", "/containers").body);
    for (const json::Value &item : *root.extract<json::Array::Ptr>())
      owners.insert(json::getString(*item.extract<json::Object::Ptr>(), "clerkUserId"));
    return owners;
  }

  TempDir secrets;
  SimulatedPlatform platform;

private:
  DaemonProcess::Values withDefaults(DaemonProcess::Values values) const {
    writeFile(secrets / "clerk", std::string(kWebhookSecret) + "\n");
    fs::permissions(secrets / "clerk", fs::perms::owner_read | fs::perms::owner_write);
    values.merge(
        DaemonProcess::Values{{"plugins.enabled", "runtime-simulated, orchestrator, lifecycle, social, proxy, signup"},
                              {"api.auth", "secret"},
                              {"signup.secret_file", (secrets / "clerk").string()},
                              {"signup.retry_base", "200ms"},
                              {"signup.retry_max", "1s"},
                              {"signup.reconcile_interval", "1s"}});
    return values;
  }
};

} // namespace

TEST_CASE("a storm of 500 deliveries, repeated, out of order, with kill -9 in the middle") {
  constexpr int kUsers = 100, kKills = 3;
  // The engine has a bad day, too.
  Clinic clinic(
      {{"signup.delete_grace", "1s"},
       {"runtime-simulated.faults", "create lost_reply every=11, start internal every=13, remove internal every=7"},
       {"orchestrator.retry_base", "100ms"}});
  std::vector<Message> messages;
  std::set<std::string> living, gone;
  for (int i = 0; i < kUsers; ++i) {
    const std::string user = "user_" + std::to_string(i);
    // Many want the same name.
    const std::string name = "name" + std::to_string(i % 20);
    std::vector<std::string> types{"user.created", "user.updated", "user.updated"};
    if (i % 4 == 0) types.back() = "user.deleted";
    (i % 4 == 0 ? gone : living).insert(user);
    for (const std::string &type : types)
      messages.push_back(
          {"msg_" + std::to_string(messages.size()), userEvent(type, user, name, name + "@example.org")});
  }
  const std::size_t unique = messages.size();
  std::mt19937 random(12);
  while (messages.size() < 500)
    messages.push_back(messages[random() % unique]);
  std::shuffle(messages.begin(), messages.end(), random);

  std::atomic<std::size_t> next{0}, lost{0};
  std::vector<std::thread> senders;
  for (int i = 0; i < 4; ++i) {
    senders.emplace_back([&] {
      for (std::size_t at = next++; at < messages.size(); at = next++) {
        // As Svix does: again, until it is answered with success.
        if (!eventually([&] { return clinic.deliver(messages[at]).status == 200; })) ++lost;
      }
    });
  }
  for (int kill = 1; kill <= kKills; ++kill) {
    CHECK(eventually([&] { return next >= messages.size() * static_cast<std::size_t>(kill) / (kKills + 1); }));
    clinic.platform.daemon.kill();
    clinic.platform.daemon.start();
  }
  for (std::thread &sender : senders)
    sender.join();
  CHECK(lost == 0);

  const auto isDone = [&] {
    const auto states = clinic.states();
    return std::all_of(living.begin(), living.end(),
                       [&](const std::string &user) { return states.count(user) != 0 && states.at(user) == "done"; }) &&
           std::all_of(gone.begin(), gone.end(), [&](const std::string &user) {
             return states.count(user) != 0 && states.at(user) == "deleted";
           });
  };
  CHECK(eventually(isDone, std::chrono::seconds{120}));
  for (const auto &[user, state] : clinic.states())
    if (state != "done" && state != "deleted")
      MESSAGE(user << ": " << clinic.platform.daemon.api("GET", "/signups/" + user).body);
  CHECK(clinic.owners() == std::multiset<std::string>(living.begin(), living.end()));
  CHECK(eventually([&] { return clinic.platform.containers().size() == living.size(); }));
  CHECK(clinic.platform.daemon.ctl({"signups", "list", "--state=deleted", "--quiet"}).status == 0);
}

TEST_CASE("matrixosctl shows who signed up, and tries again") {
  Clinic clinic({{"signup.retry_base", "1h"}, {"signup.retry_max", "1h"}});
  const DaemonProcess &daemon = clinic.platform.daemon;
  clinic.platform.faults(R"({"call":"create","effect":"internal"})");
  REQUIRE(clinic.deliver({"msg_1", userEvent("user.created", "user_1", "admin", "ada@example.org")}).status == 200);
  REQUIRE(eventually([&] { return clinic.states()["user_1"] == "failed"; }));
  const Finished list = daemon.ctl({"signups", "list"});
  INFO(list.out);
  CHECK(list.status == 0);
  CHECK(list.out.find("user_1") != std::string::npos);
  CHECK(list.out.find("admin-2") != std::string::npos);
  CHECK(list.out.find("failed") != std::string::npos);
  clinic.platform.faults("");
  CHECK(daemon.ctl({"signups", "retry", "user_1"}).out == "user_1 is tried now\n");
  CHECK(eventually([&] { return clinic.states()["user_1"] == "done"; }));
  const Finished show = daemon.ctl({"signups", "show", "user_1"});
  CHECK(show.out.find("admin-2") != std::string::npos);
  CHECK(show.out.find("ada@example.org") != std::string::npos);
  CHECK(daemon.ctl({"signups", "retry", "user_1"}).status == 1);
  CHECK(daemon.ctl({"signups", "list", "--state=failed", "--quiet"}).out.empty());
  CHECK(daemon.ctl({"signups", "list", "--state=odd"}).status == 1);
  // Nobody without the secret sees it.
  for (const char *path : {"/signups", "/signups/user_1"})
    CHECK(request(daemon.proxyPort(), "GET", path, {{"Host", "localhost"}}).status == 401);
}

TEST_CASE("the secret is replaced by a reload, and is nowhere to be read") {
  Clinic clinic;
  const DaemonProcess &daemon = clinic.platform.daemon;
  const std::string other = "whsec_" + base64Encode("another key, of another time....");
  const Message message{"msg_1", userEvent("user.created", "user_1", "ada")};
  CHECK(clinic.deliver(message, other).status == 401);
  const auto put = [&](const std::string &text) {
    writeFile(clinic.secrets / "clerk", text);
    CHECK(daemon.ctl({"reload"}).status == 0);
  };
  put(other + "\n" + kWebhookSecret + "\n"); // while both sign
  CHECK(clinic.deliver(message, other).status == 200);
  CHECK(clinic.deliver(message).status == 200);
  put(other + "\n");
  CHECK(clinic.deliver(message).status == 401);
  CHECK(clinic.deliver(message, other).body == R"({"ok":true,"result":"repeated"})");
  for (const std::string &secret : {other, std::string(kWebhookSecret)}) {
    const std::string word = secret.substr(6, 20);
    CHECK(daemon.log().find(word) == std::string::npos);
    CHECK(daemon.api("GET", "/config").body.find(word) == std::string::npos);
    CHECK(daemon.api("GET", "/ready").body.find(word) == std::string::npos);
  }
  CHECK(daemon.log().find("a delivery was refused") != std::string::npos);
}

TEST_CASE("a configuration with which anybody could sign is refused") {
  Clinic clinic;
  DaemonProcess &daemon = clinic.platform.daemon;
  const auto check = [&](const std::string &secret) {
    writeFile(clinic.secrets / "clerk", secret);
    const Finished result = daemon.check();
    return result.status == 0 ? std::string() : result.out;
  };
  CHECK(check(std::string(kWebhookSecret) + "\n").empty());
  CHECK(check("whsec_\n").find("[signup] secret: has an empty key, with which anybody could sign") !=
        std::string::npos);
  CHECK(check(std::string(kWebhookSecret) + "\nwhsec_\n").find("secret: has an empty key") != std::string::npos);
  CHECK(check("not base64\n").find("secret: is no base64") != std::string::npos);
  CHECK(daemon.ctl({"reload"}).status != 0);
  CHECK(clinic.deliver({"msg_1", userEvent("user.created", "user_1", "ada")}).status == 200); // the old one stays
}
