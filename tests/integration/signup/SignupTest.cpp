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

namespace {

/// What Inngest's SDKs sign in their tests.
constexpr char kInngestKey[] = "f00f3005a3666b359a79c2bc3380ce2715e62727ac461ae1a2618f8766029c9f";
const std::string kVectorBody = R"({"ctx":{"fn_id":"local-testing-local-cron","run_id":"01GQ3HTEZ01M7R8Z9PR1DMHDN1",)"
                                R"("step_id":"step"},"event":{"data":{},"id":"","name":"demo/event.sent",)"
                                R"("ts":1674082830001,"v":"1"},"events":[{"data":{},"id":"",)"
                                R"("name":"demo/event.sent","ts":1674082830001,"v":"1"}],"steps":{},"use_api":false})";
constexpr char kVectorField[] = "t=1687306735&s=a060f245a5d0c3c779ef65fd15b2ac06e4ab98dd8cc9860aa0722c8481ae02ab";

std::string flipped(std::string text, std::size_t bit) {
  text[bit / 8] = static_cast<char>(static_cast<unsigned char>(text[bit / 8]) ^ (1U << bit % 8));
  return text;
}

} // namespace

TEST_CASE("Inngest provisions by its signature, and no bit of what it signs may differ") {
  TempDir dir;
  writeFile(dir / "inngest", "signkey-test-" + std::string(kInngestKey) + "\n");
  fs::permissions(dir / "inngest", fs::perms::owner_read | fs::perms::owner_write);
  // More wrong ones than an address may send otherwise.
  Clinic clinic(
      {{"signup.inngest_key_file", (dir / "inngest").string()}, {"api.limit_address", "0"}, {"api.limit_writes", "0"}});
  const DaemonProcess &daemon = clinic.platform.daemon;
  const auto call = [&](const std::string &body, const std::string &field) {
    Headers headers{{"Host", "localhost"}};
    if (!field.empty()) headers.emplace_back("X-Inngest-Signature", field);
    return request(daemon.apiSocket(), "POST", "/containers/provision", headers, body);
  };
  const auto signedNow = [&](const std::string &body) { return inngestField(kInngestKey, wallClockMs() / 1000, body); };
  const std::string body = R"({"handle":"ada","clerkUserId":"user_1"})";
  CHECK(call(body, "").status == 401);
  CHECK(call(kVectorBody, kVectorField).body.find("STALE_SIGNATURE") != std::string::npos);
  CHECK(call(kVectorBody, signedNow(kVectorBody)).status == 400); // let in, and no order
  std::size_t flips = 0;
  for (std::size_t bit = 0; bit < 8 * body.size(); ++bit, ++flips) {
    CAPTURE(bit);
    CHECK(call(flipped(body, bit), signedNow(body)).body.find("BAD_SIGNATURE") != std::string::npos);
  }
  for (std::size_t bit = 0; bit < 8 * signedNow(body).size(); ++bit, ++flips) {
    const std::string field = flipped(signedNow(body), bit);
    CAPTURE(field);
    const int status = call(body, field).status;
    // A line break in it makes another field, and a control byte no request at all.
    CHECK((status == 401 || status == 400));
  }
  MESSAGE(flips << " bits flipped");
  CHECK(clinic.owners().empty());

  const Response made = call(body, signedNow(body));
  CHECK(made.status == 201);
  CHECK(call(body, signedNow(body)).status == 200);
  CHECK(clinic.owners() == std::multiset<std::string>{"user_1"});
  // As a tunnel brings it.
  Headers headers{{"Host", "localhost"}, {"X-Inngest-Signature", signedNow(body)}};
  CHECK(request(daemon.proxyPort(), "POST", "/containers/provision", headers, body).status == 200);
  for (const char *path : {"/containers/ada/stop", "/reload", "/signups/user_1/retry"}) {
    headers.back().second = signedNow("{}");
    CHECK(request(daemon.apiSocket(), "POST", path, headers, "{}").status == 401);
  }
  REQUIRE(clinic.deliver({"msg_1", userEvent("user.deleted", "user_2")}).status == 200);
  const std::string gone = R"({"handle":"bob","clerkUserId":"user_2"})";
  const Response refused = call(gone, signedNow(gone));
  CHECK(refused.status == 409);
  CHECK(refused.body.find("USER_DELETED") != std::string::npos);
  CHECK(clinic.owners().size() == 1);
  CHECK(daemon.log().find(std::string(kInngestKey).substr(0, 20)) == std::string::npos);
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

TEST_CASE("the audit log tells who got an instance, who was deleted, and by whom") {
  Clinic clinic({{"plugins.enabled", "runtime-simulated, orchestrator, lifecycle, social, proxy, signup, audit"},
                 {"signup.delete_grace", "0s"}});
  const DaemonProcess &daemon = clinic.platform.daemon;
  const auto told = [&](const std::string &action) { return daemon.api("GET", "/audit?action=" + action).body; };
  const auto tells = [&](const std::string &action, const std::string &what) {
    return eventually([&] { return told(action).find(what) != std::string::npos; });
  };
  CHECK(clinic.deliver({"msg_1", userEvent("user.created", "user_1", "ada")}).status == 200);
  CHECK(tells("instance%20provisioned", R"("principal":"user:user_1","handle":"ada")"));
  CHECK(clinic.deliver({"msg_2", userEvent("user.deleted", "user_1", "ada")}).status == 200);
  CHECK(clinic.deliver({"msg_2", userEvent("user.deleted", "user_1", "ada")}).status == 200); // repeated
  CHECK(tells("user%20deleted", R"("principal":"provider:clerk")"));
  CHECK(tells("user%20removed", R"("handle":"ada")"));
  const std::string all = told("user%20deleted");
  CHECK(all.find("user_1") == all.rfind("user_1"));
}
