#include "Signed.h"
#include "signup/UserEvent.h"

#include <matrixos/handle.hpp>
#include <matrixos/status.hpp>

#include <doctest/doctest.h>

#include <set>
#include <string>

using namespace matrixos;
using namespace matrixos::signup;
using namespace matrixos::test;

TEST_CASE("a handle is made of the username, else of the address, else of the id") {
  const Person ada{"user_2aBcDeF", "ada.lovelace+x@example.org", "Ada_L"};
  CHECK(wantedHandle("username", ada) == "ada-l");
  CHECK(wantedHandle("email", ada) == "ada-lovelace-x");
  CHECK(wantedHandle("id", ada) == "user-2abcdef");
  CHECK(wantedHandle("username", {"user_1", "ada@example.org", ""}) == "ada");
  CHECK(wantedHandle("username", {"user_1", "ada@evil@ok.com", ""}) == "user-1");
  CHECK(wantedHandle("email", {"user_1", "", "ada"}) == "user-1");
  CHECK(wantedHandle("username", {"user_1", "", "---"}) == "user-1");
  CHECK(wantedHandle("username", {"user_1", "", "jo"}) == "jo-user");
  CHECK(wantedHandle("username", {"user_1", "", "José Ñu"}) == "jos-u");
  CHECK(wantedHandle("username", {"user_1", "", "xn--nxasmq6b"}) == "xn-nxasmq6b");
  CHECK(wantedHandle("username", {"user_1", "", "a.b/../../c"}) == "a-b-c");
  CHECK(isHandle(wantedHandle("username", {"::", "", "日本"})));
}

TEST_CASE("every candidate fits the grammar, and no two are the same") {
  const std::string wanted[] = {"ada", "jo-user", std::string(31, 'a'), "a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p1",
                                "abcdefghijklmnopqrstuvwxyz-01234"};
  for (const std::string &name : wanted) {
    CAPTURE(name);
    REQUIRE(isHandle(name));
    std::set<std::string> all;
    for (int i = 0; i < 300; ++i) {
      const std::string handle = candidate(name, "user_1", i);
      CAPTURE(handle);
      CHECK(isHandle(handle));
      all.insert(handle);
    }
    CHECK(all.size() == 300);
  }
  CHECK(candidate("ada", "user_1", 0) == "ada");
  CHECK(candidate("ada", "user_1", 1) == "ada-2");
  CHECK(candidate("ada", "user_1", 150) != candidate("ada", "user_2", 150));
}

TEST_CASE("Clerk's events are read, with what they leave out and what they should not hold") {
  const UserEvent made = readUserEvent(userEvent("user.created", "user_1", "ada", "ada@example.org", 17));
  CHECK(made.kind == UserEvent::Kind::Upsert);
  CHECK(made.person.userId == "user_1");
  CHECK(made.person.username == "ada");
  CHECK(made.person.email == "ada@example.org");
  CHECK(made.updatedAt == 17);
  CHECK(readUserEvent(userEvent("user.created", "user_1", "ada", "a@b@c")).person.email == "old@example.org");
  CHECK(readUserEvent(userEvent("user.updated", "user_1")).kind == UserEvent::Kind::Upsert);
  const UserEvent gone = readUserEvent(userEvent("user.deleted", "user_1"));
  CHECK(gone.kind == UserEvent::Kind::Deleted);
  CHECK(gone.person.userId == "user_1");
  CHECK(readUserEvent(R"({"type":"session.created","data":7})").kind == UserEvent::Kind::Other);
  CHECK(readUserEvent(R"({"test": 2432232314})").kind == UserEvent::Kind::Other);
  CHECK(readUserEvent(R"({"type":"user.created","data":{"id":"user_1","username":7,"email_addresses":[3,{}]}})")
            .person.username.empty());
  for (const char *bad :
       {"", "7", "[]", "{", R"({"type":"user.created"})", R"({"type":"user.created","data":[]})",
        R"({"type":"user.created","data":{}})", R"({"type":"user.deleted","data":{"id":""}})",
        R"({"type":"user.deleted","data":{"id":7}})", R"({"type":"user.created","data":{"id":"\u0000"}})",
        R"({"type":"user.created","data":{"id":"ü"}})"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(readUserEvent(bad), Error);
  }
}
