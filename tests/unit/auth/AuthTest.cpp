#include "auth/Authenticator.h"
#include "auth/Secret.h"
#include "support/TempDir.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

using namespace matrixos;
using namespace matrixos::auth;
using matrixos::test::TempDir;

namespace {

constexpr const char *kSecret = "correct-horse-battery-staple";
constexpr const char *kToken = "only-for-reading-metrics";

Authenticator make(bool open = false) {
  Authenticator::Options options;
  options.secret = kSecret;
  options.metricsToken = kToken;
  options.open = open;
  options.ownUid = 500;
  return Authenticator(options);
}

Credentials from(ApiSocket socket, std::optional<uid_t> uid, std::vector<std::string_view> authorization = {}) {
  return {socket, uid, std::move(authorization)};
}

std::string file(const std::filesystem::path &path, const std::string &text, mode_t mode = 0600) {
  std::ofstream(path) << text;
  ::chmod(path.c_str(), mode);
  return path.string();
}

bool refuses(const std::filesystem::path &path) {
  try {
    loadSecret(path);
    return false;
  } catch (const Error &e) {
    return e.status() == Status::FailedPrecondition && std::string(e.what()).find(path.string()) != std::string::npos;
  }
}

} // namespace

TEST_CASE("every permission, socket, peer and credential") {
  const std::string right = std::string("Bearer ") + kSecret;
  const std::string token = std::string("Bearer ") + kToken;
  struct Peer {
    std::optional<uid_t> uid;
    bool trusted;
  };
  const Peer peers[] = {{std::nullopt, false}, {0, true}, {500, true}, {501, false}};
  struct Word {
    std::vector<std::string_view> fields;
    bool right;
    bool given;
  };
  const Word words[] = {{{}, false, false},         {{right}, true, true},         {{"Bearer wrong"}, false, true},
                        {{"Bearer "}, false, true}, {{kSecret}, false, true},      {{"Basic YTpi"}, false, true},
                        {{token}, false, true},     {{right, right}, false, true}, {{""}, false, true}};
  for (const bool open : {false, true}) {
    const Authenticator authenticator = make(open);
    for (const ApiSocket socket : {ApiSocket::Admin, ApiSocket::Api}) {
      for (const Peer &peer : peers) {
        for (const Word &word : words) {
          const Credentials credentials = from(socket, peer.uid, word.fields);
          CHECK(authenticator.check("public", credentials).allowed());
          CHECK(authenticator.check("owners", credentials).status == 403);
          for (const char *asked : {"signed-in", "owner", "owner:use|instance", "operator", "operator:usage:read"})
            CHECK(authenticator.check(asked, credentials).status == authenticator.check("admin", credentials).status);
          const Decision instances = authenticator.check("instance", credentials);
          CHECK_FALSE(instances.allowed());
          CHECK(instances.isOpen == (socket == ApiSocket::Api && !word.right));
          const bool scrapes = word.fields == std::vector<std::string_view>{token};
          CHECK((authenticator.check("metrics", credentials).status == 0) ==
                (scrapes || authenticator.check("admin", credentials).status == 0));
          CHECK(authenticator.check("", credentials).status == 403);
          const Decision admin = authenticator.check("admin", credentials);
          int expected = 401;
          if (word.right || (socket == ApiSocket::Admin && peer.trusted))
            expected = 0;
          else if (socket == ApiSocket::Admin)
            expected = 403;
          else if (open)
            expected = 0;
          CHECK(admin.status == expected);
          if (expected != 0) CHECK_FALSE(admin.message.empty());
          if (expected == 401) CHECK(admin.message.find("Authorization: Bearer") != std::string::npos);
          CHECK(admin.message.find(kSecret) == std::string::npos);
        }
      }
    }
  }
}

TEST_CASE("the principal says who asks") {
  const Authenticator closed = make();
  const std::string right = std::string("bearer  ") + kSecret;
  CHECK(closed.check("admin", from(ApiSocket::Api, 0, {right})).who.id == "admin");
  CHECK(closed.check("admin", from(ApiSocket::Admin, 0)).who.id == "uid:0");
  CHECK(closed.check("admin", from(ApiSocket::Admin, 500)).who.id == "uid:500");
  CHECK(closed.check("public", from(ApiSocket::Api, 0)).who.id.empty());
  CHECK(closed.check("public", from(ApiSocket::Api, 0, {right})).who.id == "admin");
  CHECK(make(true).check("admin", from(ApiSocket::Api, 0)).who.id == "anonymous");
}

TEST_CASE("a token that was replaced is dead, one that was taken away leaves nothing") {
  Authenticator authenticator = make();
  const auto status = [&](const char *field) {
    return authenticator.check("metrics", from(ApiSocket::Api, 0, {field})).status;
  };
  CHECK(authenticator.check("metrics", from(ApiSocket::Api, 0, {"Bearer only-for-reading-metrics"})).who.id ==
        "metrics");
  CHECK(authenticator.check("public", from(ApiSocket::Api, 0, {"Bearer only-for-reading-metrics"})).who.id.empty());
  CHECK(authenticator.replaceMetricsToken("another"));
  CHECK_FALSE(authenticator.replaceMetricsToken("another"));
  CHECK(status("Bearer only-for-reading-metrics") == 401);
  CHECK(status("Bearer another") == 0);
  CHECK(authenticator.replaceMetricsToken(""));
  CHECK(status("Bearer another") == 401);
  CHECK(status("Bearer ") == 401);
}

TEST_CASE("an empty secret opens nothing") {
  const Authenticator authenticator({});
  CHECK(authenticator.check("admin", from(ApiSocket::Api, 0, {"Bearer "})).status == 401);
  CHECK(authenticator.check("admin", from(ApiSocket::Api, 0, {"Bearer x"})).status == 401);
}

TEST_CASE("wrong secrets are counted, told once per interval, and never slow anybody down") {
  std::vector<std::uint64_t> told;
  Authenticator::Options options;
  options.secret = kSecret;
  options.logInterval = std::chrono::hours(1);
  options.onWrongSecret = [&](std::uint64_t attempts) { told.push_back(attempts); };
  const Authenticator authenticator(options);
  const auto attempt = [](const Authenticator &at, const Credentials &credentials) {
    const Decision decision = at.check("admin", credentials);
    at.noteRefused(decision);
    return decision.status;
  };
  for (int i = 0; i < 1000; ++i)
    CHECK(attempt(authenticator, from(ApiSocket::Api, 0, {"Bearer no"})) == 401);
  CHECK(authenticator.check("admin", from(ApiSocket::Api, 0, {std::string_view("Bearer correct-horse-battery-staple")}))
            .allowed());
  CHECK(told == std::vector<std::uint64_t>{1});
  options.logInterval = std::chrono::milliseconds(0);
  const Authenticator eager(options);
  told.clear();
  attempt(eager, from(ApiSocket::Api, 0, {"Bearer no"}));
  attempt(eager, from(ApiSocket::Api, 0));
  attempt(eager, from(ApiSocket::Api, 0, {"Bearer no"}));
  CHECK(told == std::vector<std::uint64_t>{1, 1});
}

TEST_CASE("permissions are words that are known") {
  for (const char *known : {"public", "admin", "signed-in", "owner", "owner:manage", "owner:use", "instance",
                            "operator", "operator:usage:read", "owner|instance", "signed-in|operator:users:read"})
    CHECK(isPermission(known));
  for (const char *unknown : {"", "|", "owner|", "|owner", "owner|public", "admin|owner", "owners", "Owner", "owner:",
                              "owner:all", "operator:", "operator:A", "operator:a b", "metrics", "public|admin"})
    CHECK_FALSE(isPermission(unknown));
}

TEST_CASE("who may do what") {
  const auto status = [](const char *permission, Identity who) {
    return Authenticator::judge(permission, who, Decision{401, {}, "who?", "AUTHENTICATION_REQUIRED"}).status;
  };
  const auto user = [](Identity::Role role) {
    Identity who;
    who.kind = Identity::Kind::User;
    who.role = role;
    who.id = "user:1";
    return who;
  };
  const auto operates = [](const char *scopes) {
    Identity who;
    who.kind = Identity::Kind::Operator;
    who.id = "token:x";
    who.scopes = scopes;
    return who;
  };
  Identity instance;
  instance.kind = Identity::Kind::Instance;
  instance.id = "instance:alice";
  using Role = Identity::Role;
  CHECK(status("signed-in", {}) == 401);
  CHECK(status("signed-in", user(Role::None)) == 0);
  CHECK(status("signed-in", operates("")) == 0);
  CHECK(status("signed-in", instance) == 403);
  // Where a scope is named, an operator needs it.
  CHECK(status("signed-in|operator:users:read", operates("")) == 403);
  CHECK(status("signed-in|operator:users:read", operates("usage:read")) == 403);
  CHECK(status("signed-in|operator:users:read", operates("users:read")) == 0);
  CHECK(status("signed-in|operator:users:read", user(Role::None)) == 0);
  CHECK(status("owner", user(Role::Manage)) == 403);
  CHECK(status("owner", user(Role::Owner)) == 0);
  CHECK(status("owner:manage", user(Role::Use)) == 403);
  CHECK(status("owner:manage", user(Role::Manage)) == 0);
  CHECK(status("owner:manage", user(Role::Owner)) == 0);
  CHECK(status("owner:use", user(Role::None)) == 403);
  CHECK(status("owner:use", user(Role::Use)) == 0);
  CHECK(status("owner", operates("users:read")) == 403);
  CHECK(status("owner", operates("*")) == 0);
  CHECK(status("operator", operates("users:read *")) == 0);
  CHECK(status("operator", operates("users:read")) == 403);
  CHECK(status("admin", operates("users:read")) == 403);
  CHECK(status("admin", operates("*")) == 0);
  CHECK(status("admin", user(Role::Owner)) == 403);
  CHECK(status("operator:users:read", operates("users:write users:read")) == 0);
  CHECK(status("operator:users:read", operates("users:readers")) == 403);
  CHECK(status("operator:users:read", operates("users")) == 403);
  CHECK(status("instance", operates("*")) == 403);
  CHECK(status("instance", instance) == 0);
  CHECK(status("owner|instance", instance) == 0);
  CHECK(status("owner|instance", user(Role::Use)) == 403);
  Identity refused;
  refused.kind = Identity::Kind::Refused;
  CHECK(status("signed-in", refused) == 401);
  refused.status = 429;
  CHECK(status("signed-in", refused) == 429);
  refused.status = 200;
  CHECK(status("signed-in", refused) == 401);
  refused.status = 409;
  CHECK(status("signed-in", refused) == 409);
  CHECK(Authenticator::judge("signed-in", refused, {}).reason == "CREDENTIALS_REFUSED");
  refused.status = 503; // which says nothing about the credentials
  CHECK(Authenticator::judge("signed-in", refused, {}).reason == "IDENTITY_UNAVAILABLE");
  refused.reason = "USER_DELETED";
  CHECK(Authenticator::judge("signed-in", refused, {}).reason == "USER_DELETED");
  // Whoever has seen the body and says that it has to be seen knows nobody.
  Identity seal;
  seal.kind = Identity::Kind::Signed;
  seal.id = "sealer";
  CHECK(status("signed-in", seal) == 401);
  CHECK(Authenticator::judge("owner", user(Role::Owner), {}).who.id == "user:1");
}

TEST_CASE("handlers are told who asks") {
  Identity who;
  CHECK(callerJson(who) == R"({"kind":"public"})");
  who.kind = Identity::Kind::User;
  who.id = "user:1";
  who.role = Identity::Role::Manage;
  CHECK(callerJson(who) == R"({"kind":"user","id":"user:1","role":"manage"})");
  who.shares = R"({"bob":"use"})";
  CHECK(callerJson(who) == R"({"kind":"user","id":"user:1","role":"manage","shares":{"bob":"use"}})");
  who.kind = Identity::Kind::Operator;
  who.scopes = "users:read";
  CHECK(callerJson(who) == R"({"kind":"operator","id":"user:1","scopes":"users:read"})");
  who.kind = Identity::Kind::Instance;
  CHECK(callerJson(who) == R"({"kind":"instance","id":"user:1"})");
}

TEST_CASE("texts are compared whole") {
  CHECK(equalInConstantTime("", ""));
  CHECK(equalInConstantTime("abc", "abc"));
  for (const char *other : {"", "a", "ab", "abd", "Abc", "abcd", "abcabc", "bca"})
    CHECK_FALSE(equalInConstantTime(other, "abc"));
  CHECK_FALSE(equalInConstantTime("abc", ""));
}

TEST_CASE("a secret is generated once, private and random") {
  const TempDir dir;
  const std::string secret = loadOrCreateSecret(dir.path());
  CHECK(secret.size() == 64);
  CHECK(secret.find_first_not_of("0123456789abcdef") == std::string::npos);
  struct stat info {};
  REQUIRE(::stat((dir.path() / "admin.secret").c_str(), &info) == 0);
  CHECK((info.st_mode & 07777U) == 0600);
  CHECK(loadOrCreateSecret(dir.path()) == secret);
  CHECK(resolveSecret("", dir.path()) == secret);
  const TempDir other;
  CHECK(loadOrCreateSecret(other.path()) != secret);
  std::size_t files = 0;
  for ([[maybe_unused]] const auto &entry : std::filesystem::directory_iterator(dir.path()))
    ++files;
  CHECK(files == 1);
  CHECK_THROWS_AS(loadOrCreateSecret(dir.path() / "none"), Error);
}

TEST_CASE("those who start together agree on one secret") {
  const TempDir dir;
  std::mutex mutex;
  std::set<std::string> seen;
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] {
      const std::string secret = loadOrCreateSecret(dir.path());
      const std::lock_guard lock(mutex);
      seen.insert(secret);
    });
  }
  for (std::thread &thread : threads)
    thread.join();
  CHECK(seen.size() == 1);
}

TEST_CASE("an operator's secret file is taken or refused with its name") {
  const TempDir dir;
  CHECK(resolveSecret(file(dir.path() / "good", "\n s3cret!\r\n"), dir.path()) == "s3cret!");
  CHECK(loadSecret(file(dir.path() / "group", "s", 0640)) == "s");
  CHECK(refuses(dir.path() / "missing"));
  CHECK(refuses(dir.path()));
  CHECK(refuses(file(dir.path() / "empty", " \n")));
  CHECK(refuses(file(dir.path() / "words", "two words")));
  CHECK(refuses(file(dir.path() / "lines", "two\nlines")));
  CHECK(refuses(file(dir.path() / "control", std::string("a\0b", 3))));
  CHECK(refuses(file(dir.path() / "utf8", "\xC3\xA9")));
  CHECK(refuses(file(dir.path() / "long", std::string(5000, 'a'))));
  CHECK(refuses(file(dir.path() / "readable", "s", 0644)));
  CHECK(refuses(file(dir.path() / "writable", "s", 0660)));
  REQUIRE(::mkfifo((dir.path() / "pipe").c_str(), 0600) == 0);
  CHECK(refuses(dir.path() / "pipe"));
}
