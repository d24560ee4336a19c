// Keys of issuers: kept, loaded anew, and never another issuer's.
#include "Stage.h"

#include <doctest/doctest.h>
#include <identity/oidc/Issuer.h>
#include <identity/oidc/JsonWebToken.h>
#include <identity/oidc/KeySet.h>
#include <support/TempDir.h>
#include <support/Wait.h>

#include <future>
#include <string>
#include <vector>

using namespace matrixos;
using namespace matrixos::test;
using identity::Issuer;
using identity::JsonWebToken;
using identity::KeySet;
using std::chrono::seconds;

namespace {

struct Keys : Stage {
  Issuer named{issuer.name(), world()};
  KeySet set{named, {}, [this] { return issuer.name() + "/jwks"; }};

  int loads() const { return issuer.asked("/jwks"); }
  void publish(const std::vector<const SigningKey *> &keys) {
    issuer.keys = {{"keys", MockIssuer::Json::array()}};
    for (const SigningKey *key : keys)
      issuer.keys["keys"].push_back(MockIssuer::Json::parse(key->jwk()));
  }
  std::string tryOut(const SigningKey &key) { return tryOut(set, key); }
  static std::string tryOut(KeySet &keys, const SigningKey &key) {
    return errorOf([&] {
             const JsonWebToken token = JsonWebToken::parse(key.token("{}"));
             token.claims(*keys.find(token));
           })
        .reason();
  }
};

} // namespace

TEST_CASE_FIXTURE(Keys, "keys are loaded once in five minutes") {
  for (int i = 0; i < 3; ++i)
    CHECK(tryOut(issuer.key) == "");
  CHECK(loads() == 1);
  passed = seconds{299};
  CHECK(tryOut(issuer.key) == "");
  CHECK(loads() == 1);
  passed = seconds{300};
  CHECK(tryOut(issuer.key) == "");
  CHECK(loads() == 2);
}

TEST_CASE_FIXTURE(Keys, "an unknown key loads the set at most once a minute") {
  const SigningKey next(SigningKey::Kind::P256, "k2"), stranger(SigningKey::Kind::P256, "k3");
  CHECK(tryOut(issuer.key) == "");
  publish({&issuer.key, &next});
  CHECK(tryOut(next) == "");
  CHECK(loads() == 2);
  for (int i = 0; i < 50; ++i)
    CHECK(tryOut(stranger) == "UNKNOWN_KEY");
  CHECK(loads() == 2);
  passed = seconds{60};
  for (int i = 0; i < 50; ++i)
    CHECK(tryOut(stranger) == "UNKNOWN_KEY");
  CHECK(loads() == 3);
}

TEST_CASE_FIXTURE(Keys, "a key that is not published any more ends with the next load") {
  const SigningKey next(SigningKey::Kind::P256, "k2");
  CHECK(tryOut(issuer.key) == "");
  publish({&next});
  CHECK(tryOut(next) == "");
  CHECK(tryOut(issuer.key) == "UNKNOWN_KEY");
}

TEST_CASE_FIXTURE(Keys, "a known key stays while the issuer is down, lies or has lost its keys") {
  CHECK(tryOut(issuer.key) == "");
  SUBCASE("down") {
    down = true;
  }
  SUBCASE("lies") {
    issuer.keys = "x";
  }
  SUBCASE("lost") {
    issuer.keys = {{"keys", MockIssuer::Json::array()}};
  }
  passed = seconds{3600};
  for (int i = 0; i < 10; ++i)
    CHECK(tryOut(issuer.key) == "");
  CHECK(tryOut(SigningKey(SigningKey::Kind::P256, "k2")) == "UNKNOWN_KEY");
  CHECK(notes() != "");
  const SigningKey next(SigningKey::Kind::P256, "k2");
  down = false;
  publish({&next});
  passed = seconds{3661};
  CHECK(tryOut(next) == "");
}

TEST_CASE_FIXTURE(Keys, "without any keys nobody signs in, and who comes five seconds later asks again") {
  int asked = 0;
  issuer.before = [&](const FetchRequest &, const std::string &) -> FetchAnswer {
    ++asked;
    throw Error(Status::Unavailable, "no route", "UNREACHABLE");
  };
  for (int i = 0; i < 50; ++i)
    CHECK(tryOut(issuer.key) == "ISSUER_UNREACHABLE");
  CHECK(asked == 1);
  issuer.before = nullptr;
  passed = seconds{4};
  CHECK(tryOut(issuer.key) == "ISSUER_UNREACHABLE");
  passed = seconds{5};
  CHECK(tryOut(issuer.key) == "");
}

TEST_CASE_FIXTURE(Keys, "one thread loads, however many wait") {
  std::promise<void> go;
  const auto wait = go.get_future().share();
  issuer.before = [&](const FetchRequest &, const std::string &) {
    wait.wait();
    return FetchAnswer{};
  };
  std::atomic<int> begun{0};
  std::vector<std::future<std::string>> all;
  for (int i = 0; i < 8; ++i)
    all.push_back(std::async(std::launch::async, [&] {
      ++begun;
      return tryOut(issuer.key);
    }));
  REQUIRE(eventually([&] { return begun == 8 && loads() == 1; }));
  go.set_value();
  for (auto &one : all)
    CHECK(one.get() == "");
  CHECK(loads() == 1);
}

TEST_CASE_FIXTURE(Keys, "who has keys does not wait for those who load them") {
  CHECK(tryOut(issuer.key) == "");
  std::promise<void> go;
  const auto wait = go.get_future().share();
  issuer.before = [&](const FetchRequest &, const std::string &) {
    wait.wait();
    return FetchAnswer{};
  };
  passed = seconds{301};
  auto slow = std::async(std::launch::async, [&] { return tryOut(issuer.key); });
  REQUIRE(eventually([&] { return loads() == 2; }));
  CHECK(tryOut(issuer.key) == "");
  go.set_value();
  CHECK(slow.get() == "");
}

TEST_CASE_FIXTURE(Keys, "a kid that two issuers have is the key of each for itself") {
  const SigningKey other(SigningKey::Kind::P256, issuer.key.kid());
  MockIssuer second("https://other.example", other);
  const Issuer secondName(second.name(), {[&](const FetchRequest &request) { return second.answer(request); }});
  KeySet secondSet(secondName, {}, [&] { return second.name() + "/jwks"; });
  CHECK(tryOut(issuer.key) == "");
  CHECK(tryOut(secondSet, other) == "");
  CHECK(tryOut(other) == "BAD_SIGNATURE");
  CHECK(tryOut(secondSet, issuer.key) == "BAD_SIGNATURE");
}

TEST_CASE_FIXTURE(Keys, "keys may stand in a file, which may change") {
  const TempDir dir;
  const std::string path = (dir / "keys").string();
  const SigningKey next(SigningKey::Kind::P256, "k2");
  SUBCASE("a set") {
    KeySet files(named, {"", path, ""}, [] { return std::string(); });
    CHECK(tryOut(files, issuer.key) == "BAD_ISSUER_ANSWER");
    passed = seconds{5};
    writeFile(path, issuer.keys.dump());
    CHECK(tryOut(files, issuer.key) == "");
    writeFile(path, R"({"keys":[)" + next.jwk() + "]}");
    CHECK(tryOut(files, next) == "");
  }
  SUBCASE("PEM") {
    KeySet files(named, {"", "", path}, [] { return std::string(); });
    writeFile(path, issuer.key.publicPem());
    CHECK(tryOut(files, issuer.key) == "");
    CHECK(tryOut(files, next) == "BAD_SIGNATURE");
    writeFile(path, next.publicPem());
    passed = seconds{300};
    CHECK(tryOut(files, next) == "");
  }
  CHECK(loads() == 0);
  CHECK(notes().find("BEGIN") == std::string::npos);
}

TEST_CASE_FIXTURE(Keys, "there is one source of keys, and it is one") {
  const auto make = [&](identity::KeySource source) {
    return errorOf([&] { KeySet(named, std::move(source), [] { return std::string(); }); }).reason();
  };
  CHECK(make({"https://keys.example/jwks", "", ""}) == "");
  CHECK(make({"https://keys.example/jwks", "/file", ""}) == "KEY_SOURCE");
  CHECK(make({"", "/file", "/file"}) == "KEY_SOURCE");
  for (const char *url : {"http://keys.example/jwks", "ftp://keys.example", "keys", "http://127.0.0.1/jwks",
                          "https://user@keys.example/", "file:///etc/passwd"})
    CHECK(make({url, "", ""}) == "KEY_SOURCE");
}

TEST_CASE_FIXTURE(Keys, "the issuer's own addresses may be private, others that it names may not") {
  const auto asks = [&](identity::KeySource source, const std::string &published) {
    bool isPrivate = false;
    issuer.before = [&](const FetchRequest &request, const std::string &) {
      isPrivate = request.allowPrivate;
      return FetchAnswer{200, {}, issuer.keys.dump()};
    };
    KeySet keys(named, std::move(source), [&] { return published; });
    CHECK(tryOut(keys, issuer.key) == "");
    return isPrivate;
  };
  CHECK(asks({}, "https://issuer.example/elsewhere/jwks"));
  CHECK(asks({"https://inside.example/jwks", "", ""}, ""));
  CHECK_FALSE(asks({}, "https://issuer.example:8443/jwks"));
  CHECK_FALSE(asks({}, "https://issuer.example.evil.example/jwks"));
}

TEST_CASE("an issuer is an https URL, or one of this machine") {
  const auto reason = [](const std::string &name) { return errorOf([&] { Issuer(name, {}); }).reason(); };
  for (const char *name : {"https://issuer.example", "https://issuer.example/", "https://issuer.example:8443/realms/a",
                           "http://127.0.0.1:8080", "http://127.9.9.9", "http://localhost:3000/x", "http://[::1]:80",
                           "http://idp.localhost"})
    CHECK(reason(name) == "");
  for (const char *name :
       {"", "issuer.example", "http://issuer.example", "http://127.evil.example", "http://localhost.evil.example",
        "http://10.0.0.1", "http://[::2]", "http://127.0.0.1@evil.example", "https://user:pass@issuer.example",
        "https://issuer.example?a", "https://issuer.example/#a", "ftp://localhost", "https:///x",
        "https://issuer example"}) {
    CAPTURE(name);
    CHECK(reason(name) == "BAD_ISSUER");
  }
}
