#include <doctest/doctest.h>
#include <identity/SessionTable.h>
#include <malloc.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

using namespace matrixos::identity;

namespace {

SessionView session(const std::string &cookie, std::string_view userId, std::int64_t at = 1000,
                    std::int64_t until = 10'000'000) {
  return {Digest::of(cookie), std::make_shared<const User>(userId, "a@b.c", true, "A", ""), at, until, at};
}

bool visits(const SessionTable &table, const std::string &cookie, const char *handle, std::int64_t now,
            std::string *who = nullptr) {
  return table.visit(cookie, handle, now, [&](const User &user) {
    if (who != nullptr) *who = user.id();
  });
}

} // namespace

TEST_CASE("a grant is good on its host alone, as long as its session") {
  SessionTable table(100);
  const std::string cookie = makeId(), app = makeId();
  const SessionView made = session(cookie, "user_a");
  table.add(made);
  REQUIRE(table.grant(made.digest, Digest::of(app), "alice"));
  std::string who;
  CHECK(visits(table, app, "alice", 2000, &who));
  CHECK(who == "user_a");
  CHECK(!visits(table, app, "bob", 2000));
  CHECK(!visits(table, cookie, "alice", 2000));
  CHECK(!visits(table, makeId(), "alice", 2000));
  CHECK(!visits(table, "", "alice", 2000));
  CHECK(!table.find(app, 2000));
  CHECK(table.find(cookie, 2000)->publicId() == made.publicId());
  CHECK(!visits(table, app, "alice", 10'000'000));
  CHECK(table.remove(made.digest));
  CHECK(!visits(table, app, "alice", 2000));
  CHECK(!table.grant(made.digest, Digest::of(app), "alice"));
  CHECK(!table.remove(made.digest));
}

TEST_CASE("a session that nobody uses ends") {
  SessionTable table(100);
  table.setIdleTtl(60'000);
  const std::string cookie = makeId();
  table.add(session(cookie, "user_a"));
  CHECK(table.find(cookie, 50'000));
  CHECK(table.find(cookie, 109'000)); // 59 s after the last use
  CHECK(!table.find(cookie, 169'000));
  table.setIdleTtl(0);
  CHECK(table.find(cookie, 169'000));
}

TEST_CASE("a program's session is good while the sign-in that let it in is, and ends with it") {
  SessionTable table(100);
  table.setIdleTtl(60'000);
  const SessionView signIn = session(makeId(), "user_a"), first = session(makeId(), "user_a"),
                    second = session(makeId(), "user_a"), other = session(makeId(), "user_a");
  table.add(signIn);
  table.add(other);
  REQUIRE(table.addProgram(first, signIn.digest));
  REQUIRE(table.addProgram(second, signIn.digest));
  CHECK(!table.addProgram(session(makeId(), "user_a"), first.digest)); // no program lets another in
  CHECK(!table.grant(first.digest, Digest::of(makeId()), "alice"));
  CHECK(table.find(first.digest, 50'000));
  CHECK(!table.find(first.digest, 70'000)); // it was used, the sign-in was not
  CHECK(!table.isGood(first, 70'000));
  std::size_t good = 0;
  table.eachUse(70'000, [&](const Digest &, bool isGood, std::int64_t) { good += isGood ? 1 : 0; });
  CHECK(good == 0);
  table.setIdleTtl(0);
  CHECK(table.remove(first.digest));
  CHECK(table.find(second.digest, 70'000));
  CHECK(table.remove(signIn.digest));
  CHECK(!table.find(second.digest, 70'000));
  CHECK(!table.remove(second.digest));
  CHECK(!table.addProgram(session(makeId(), "user_a"), signIn.digest));
  CHECK(table.find(other.digest, 70'000));
  CHECK(table.size() == 1);
}

TEST_CASE("one session does not fill the table") {
  SessionTable table(100);
  const std::string cookie = makeId(), last = makeId();
  const SessionView made = session(cookie, "user_a");
  table.add(made);
  const std::string first = makeId();
  table.grant(made.digest, Digest::of(first), "first");
  for (int i = 0; i < 1000; ++i)
    table.grant(made.digest, Digest::of(makeId()), "alice");
  table.grant(made.digest, Digest::of(last), "last");
  CHECK(!visits(table, first, "first", 2000));
  CHECK(visits(table, last, "last", 2000));
}

TEST_CASE("100,000 sessions, each with the cookie of an instance's host, take less than 30 MB") {
  const auto used = [] {
    const auto heap = ::mallinfo2();
    return heap.uordblks + heap.hblkhd;
  };
  [[maybe_unused]] const std::size_t before = used();
  SessionTable table(100'000);
  for (int i = 0; i < 100'000; ++i) {
    const std::string number = std::to_string(1'000'000'000 + i);
    const auto user = std::make_shared<const User>("user_2abcdefghijklmnop" + number, number + "@mail.example.com",
                                                   true, "Ada Lovelace", "");
    table.add({Digest::of(number), user, 1, 2, 1});
    REQUIRE(table.grant(Digest::of(number), Digest::of("c" + number), "p" + number));
  }
  CHECK(table.size() == 100'000);
#ifndef MATRIXOS_INSTRUMENTED
  CHECK(used() - before < 30'000'000);
#endif
}

TEST_CASE("whoever looks while sessions come and go sees whole ones, and none that has ended") {
  SessionTable table(1000);
  const std::string app = makeId();
  const SessionView kept = session(makeId(), "user_kept");
  table.add(kept);
  table.grant(kept.digest, Digest::of(app), "alice");
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0}, looks{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&] {
      while (!stop) {
        std::string who;
        if (!visits(table, app, "alice", 2000, &who) || who != "user_kept") ++wrong;
        ++looks;
      }
    });
  }
  for (int i = 0; i < 2000 || looks < 100; ++i) {
    const std::string cookie = makeId(), other = makeId();
    const SessionView made = session(cookie, "user_" + std::to_string(i));
    table.add(made);
    table.grant(made.digest, Digest::of(other), "alice");
    if (!visits(table, other, "alice", 2000)) ++wrong;
    table.remove(made.digest);
    if (visits(table, other, "alice", 2000)) ++wrong;
  }
  stop = true;
  for (std::thread &reader : readers)
    reader.join();
  CHECK(wrong == 0);
}
