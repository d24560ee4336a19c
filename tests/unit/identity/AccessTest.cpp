#include <doctest/doctest.h>
#include <identity/Access.h>

using namespace matrixos;
using namespace matrixos::identity;

namespace {

InstanceRecord record(const char *id, const char *handle, const char *owner, std::uint64_t rev,
                      InstanceStatus status = InstanceStatus::Running) {
  InstanceRecord out;
  out.id = id;
  out.handle = handle;
  out.clerkUserId = owner;
  out.rev = rev;
  out.status = status;
  return out;
}

User user(const char *id, const char *email = "", bool verified = false) {
  return {id, email, verified, "", ""};
}

} // namespace

TEST_CASE("an instance is its owner's, and those' whom it is shared with") {
  Access access;
  access.apply(record("I1", "alice", "user_a", 1));
  access.setShares("I1",
                   {{"S1", "I1", "user_b", "", MOS_ROLE_USE, 0}, {"S2", "I1", "", "Carol@x.com", MOS_ROLE_MANAGE, 0}});
  CHECK(access.roleOf("alice", user("user_a")) == MOS_ROLE_OWNER);
  CHECK(access.roleOf("alice", user("user_b")) == MOS_ROLE_USE);
  CHECK(access.roleOf("alice", user("user_c", "carol@x.com", true)) == MOS_ROLE_MANAGE);
  CHECK(access.roleOf("alice", user("user_c", "carol@x.com", false)) == MOS_ROLE_NONE);
  CHECK(access.roleOf("alice", user("user_d", "", true)) == MOS_ROLE_NONE);
  CHECK(access.roleOf("alice", user("")) == MOS_ROLE_NONE);
  CHECK(access.roleOf("bob", user("user_a")) == MOS_ROLE_NONE);
  CHECK(access.sharedWith(user("user_b")) == R"({"alice":"use"})");
  CHECK(access.sharedWith(user("user_c", "carol@x.com", true)) == R"({"alice":"manage"})");
  CHECK(access.sharedWith(user("user_a")).empty());
  access.setShares("I1", {});
  CHECK(access.roleOf("alice", user("user_b")) == MOS_ROLE_NONE);
}

TEST_CASE("what is shared with somebody is found by his id and his address, the stronger role of both") {
  Access access;
  for (const auto &[id, handle] : {std::pair{"I1", "alice"}, {"I2", "bob"}, {"I3", "carol"}})
    access.apply(record(id, handle, "user_o", 1));
  access.setShares("I1",
                   {{"S1", "I1", "user_b", "", MOS_ROLE_USE, 0}, {"S2", "I1", "", "B@x.com", MOS_ROLE_MANAGE, 0}});
  access.setShares("I2", {{"S3", "I2", "", "b@X.com", MOS_ROLE_USE, 0}});
  access.setShares("I3", {{"S4", "I3", "b@x.com", "", MOS_ROLE_USE, 0}}); // an id that looks like an address
  access.setShares("I9", {{"S9", "I9", "user_b", "", MOS_ROLE_USE, 0}});  // of an instance that nobody has
  CHECK(access.sharedWith(user("user_b", "b@x.com", true)) == R"({"alice":"manage","bob":"use"})");
  CHECK(access.sharedWith(user("user_b", "b@x.com", false)) == R"({"alice":"use"})");
  CHECK(access.sharedWith(user("b@x.com")) == R"({"carol":"use"})");
  CHECK(access.sharedWith(user("")).empty());
  access.setShares("I1", {{"S1", "I1", "user_b", "", MOS_ROLE_USE, 0}});
  CHECK(access.sharedWith(user("user_b", "b@x.com", true)) == R"({"alice":"use","bob":"use"})");
  access.setShares("I1", {});
  access.setShares("I2", {});
  CHECK(access.sharedWith(user("user_b", "b@x.com", true)).empty());
}

TEST_CASE("shares are the instance's, not the name's: who gets the name later inherits nothing") {
  Access access;
  access.apply(record("I1", "alice", "user_a", 1));
  access.setShares("I1", {{"S1", "I1", "user_b", "", MOS_ROLE_USE, 0}});
  access.apply(record("I1", "alice", "", 2, InstanceStatus::Deleted));
  CHECK(access.roleOf("alice", user("user_a")) == MOS_ROLE_NONE);
  access.apply(record("I2", "alice", "user_z", 3));
  CHECK(access.roleOf("alice", user("user_z")) == MOS_ROLE_OWNER);
  CHECK(access.roleOf("alice", user("user_a")) == MOS_ROLE_NONE);
  CHECK(access.roleOf("alice", user("user_b")) == MOS_ROLE_NONE);
  access.apply(record("I1", "alice", "user_a", 1)); // news that are old
  CHECK(access.roleOf("alice", user("user_z")) == MOS_ROLE_OWNER);
}

TEST_CASE("what a watch that begins anew does not tell is gone") {
  Access access;
  access.apply(record("I1", "alice", "user_a", 1));
  access.apply(record("I2", "bob", "user_b", 2));
  access.synced();
  access.apply(record("I1", "alice", "user_a", 1));
  CHECK(access.roleOf("bob", user("user_b")) == MOS_ROLE_OWNER);
  access.synced();
  CHECK(access.roleOf("alice", user("user_a")) == MOS_ROLE_OWNER);
  CHECK(access.roleOf("bob", user("user_b")) == MOS_ROLE_NONE);
  CHECK(access.ofUser(user("user_a")).size() == 1);
}
