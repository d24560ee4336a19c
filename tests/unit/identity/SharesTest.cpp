#include "Stage.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>
#include <identity/Shares.h>
#include <support/Errors.h>

#include <future>
#include <vector>

using namespace matrixos;
using namespace matrixos::identity;
using matrixos::test::errorOf;
using matrixos::test::IdentityStage;

namespace {

struct Shared : IdentityStage {
  Shared() {
    apply("I1", 1);
    shares.load();
  }
  void apply(const char *id, std::uint64_t rev, InstanceStatus status = InstanceStatus::Running) {
    InstanceRecord record;
    record.id = id;
    record.handle = "alice";
    record.clerkUserId = "user_a";
    record.rev = rev;
    record.status = status;
    access.apply(record);
  }
  Share give(const std::string &user, std::uint32_t role = MOS_ROLE_USE) {
    Share what;
    what.userId = user;
    what.role = role;
    return shares.add("alice", what, "user:user_a");
  }
  std::uint32_t roleOf(const char *user) const { return access.roleOf("alice", user, "", false); }

  Access access;
  Shares shares{sql, access, [this] { return now; }};
};

} // namespace

TEST_CASE_FIXTURE(Shared, "an instance is shared with somebody once, however many say so at a time") {
  for (int round = 0; round < 20; ++round) {
    const std::string user = "user_" + std::to_string(round);
    std::vector<std::future<std::string>> all;
    for (int i = 0; i < 4; ++i)
      all.push_back(std::async(std::launch::async, [&] { return give(user).id; }));
    const std::string id = all.front().get();
    for (std::size_t i = 1; i < all.size(); ++i)
      CHECK(all[i].get() == id);
  }
  CHECK(shares.of("alice").size() == 20);
  CHECK(count("identity_shares") == 20);
}

TEST_CASE_FIXTURE(Shared, "a share changes, ends and comes back from the database") {
  const Share first = give("user_b");
  now += 5;
  CHECK(give("user_b", MOS_ROLE_MANAGE).createdAt == first.createdAt);
  CHECK(roleOf("user_b") == MOS_ROLE_MANAGE);
  const Share other = give("user_c");
  CHECK(shares.remove("alice", other.id));
  CHECK(!shares.remove("alice", other.id));
  Access later;
  Shares again(sql, later, [this] { return now; });
  again.load();
  CHECK(later.sharesOf("I1").size() == 1);
  CHECK(later.sharesOf("I1").front().role == MOS_ROLE_MANAGE);
  for (std::size_t i = 1; i < Shares::kMostOfInstance; ++i)
    give("more_" + std::to_string(i));
  CHECK(errorOf([&] { give("one_more"); }).reason() == "TOO_MANY_SHARES");
  CHECK(errorOf([&] { shares.of("nobody"); }).reason() == "NO_INSTANCE");
}

TEST_CASE_FIXTURE(Shared, "what names nobody, or two, is told how it goes") {
  const auto said = [&](const std::string &user, const std::string &email) {
    Share what;
    what.userId = user;
    what.email = email;
    return std::string(errorOf([&] { shares.add("alice", what, "ada"); }).what());
  };
  const std::string either = "give either a user or an email address: \"user\" or \"email\" (--user, --email)";
  CHECK(said("", "") == either);
  CHECK(said("user_b", "b@example.com") == either);
  CHECK(said("", "bob") == "that is no user id or email address");
  CHECK(said("a b", "") == "that is no user id or email address");
}

TEST_CASE_FIXTURE(Shared, "what is shared while the instance goes ends with it") {
  give("user_b");
  host.onBatch([this](const std::string &) {
    host.onBatch(nullptr);
    apply("I1", 2, InstanceStatus::Deleted);
    shares.forget("I1");
  });
  give("user_c");
  CHECK(access.sharesOf("I1").empty());
  shares.flush();
  CHECK(count("identity_shares") == 0);
}
