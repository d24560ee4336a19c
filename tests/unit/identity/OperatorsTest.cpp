#include <doctest/doctest.h>
#include <identity/Operators.h>

using namespace matrixos::identity;

TEST_CASE("operators are named by id, verified email or claim") {
  const Operators operators({"user_1", "Ops@Example.com", "groups=admins"});
  ProviderUser user{"user_2", "ops@example.com", true, "", "", {}};
  CHECK(operators.itemFor(user) == "Ops@Example.com");
  user.emailVerified = false;
  CHECK(operators.itemFor(user).empty());
  user.claims = {{"groups", "users"}, {"groups", "admins"}};
  CHECK(operators.itemFor(user) == "groups=admins");
  user.claims = {{"group", "admins"}, {"groups", "admins2"}};
  CHECK(operators.itemFor(user).empty());
  user.id = "user_1";
  CHECK(operators.itemFor(user) == "user_1");
  CHECK(operators.has("groups=admins"));
  CHECK(!operators.has(""));
  CHECK(!operators.has("user_2"));
}

TEST_CASE("an item that names nobody is seen") {
  for (const char *item : {"groups=", "=", "=admins"})
    CHECK_MESSAGE(!Operators::whyNot(item).empty(), item);
  for (const char *item : {"user_1", "a@b.com", "groups=admins", "sub=YQ=", "YQ=="})
    CHECK_MESSAGE(Operators::whyNot(item).empty(), item);
}

TEST_CASE("an address has one @") {
  CHECK(emailDomain("a@ok.com") == "ok.com");
  for (const char *none : {"", "@ok.com", "a", "a@evil@ok.com"})
    CHECK_MESSAGE(emailDomain(none).empty(), none);
}
