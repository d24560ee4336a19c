/// How long an answer counts, and what is done while there is none: with a clock and a resolver of the test's own.
#include <matrixos/status.hpp>

#include <doctest/doctest.h>
#include <http/engine/HostName.h>

#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using matrixos::Address;
using matrixos::http::HostName;
using matrixos::http::Resolution;
using matrixos::http::Resolver;

namespace {

/// Keeps the questions until the test answers them.
class FakeResolver final : public Resolver {
public:
  void resolve(const std::string &name, Done done) override {
    ++asked;
    lastName = name;
    open.push_back(std::move(done));
  }
  void answer(Resolution resolution) {
    const auto taken = std::exchange(open, {});
    for (const Done &done : taken)
      done(resolution);
  }

  int asked = 0;
  std::string lastName;
  std::vector<Done> open;
};

Resolution found(const std::vector<std::string> &ips, std::chrono::seconds lifetime) {
  Resolution out;
  for (const std::string &ip : ips)
    out.addresses.push_back(Address::fromIp(ip, 0));
  out.lifetime = lifetime;
  return out;
}

struct Fixture {
  std::shared_ptr<FakeResolver> resolver = std::make_shared<FakeResolver>();
  std::int64_t now = 1'000'000;
  std::shared_ptr<HostName> host = HostName::parse("up.example:443", resolver, [this] { return now; });
  std::vector<HostName::Answer> heard;

  /// What a request would use: "waits", "" for a failure, else the addresses.
  std::string use() {
    const auto answer = host->find();
    if (!answer) host->wait([this](const HostName::Answer &later) { heard.push_back(later); });
    return answer ? text(answer) : "waits";
  }
  static std::string text(const HostName::Answer &answer) {
    std::string out;
    for (const auto &place : answer->places)
      out += (out.empty() ? "" : " ") + place.address.text();
    return out;
  }
};

} // namespace

TEST_CASE("the first request waits, those that come meanwhile wait with it, and one question is asked") {
  Fixture f;
  CHECK(f.use() == "waits");
  CHECK(f.use() == "waits");
  CHECK(f.resolver->asked == 1);
  CHECK(f.resolver->lastName == "up.example");
  f.resolver->answer(found({"192.0.2.1", "2001:db8::1", "192.0.2.1"}, 60s));
  REQUIRE(f.heard.size() == 2);
  CHECK(Fixture::text(f.heard[0]) == "192.0.2.1:443 [2001:db8::1]:443");
  CHECK(f.use() == "192.0.2.1:443 [2001:db8::1]:443");
  CHECK(f.resolver->asked == 1);
}

TEST_CASE("a name in use is asked for before its answer lapses, and nobody waits") {
  Fixture f;
  f.use();
  f.resolver->answer(found({"192.0.2.1"}, 60s));
  f.now += 47'000;
  CHECK(f.use() == "192.0.2.1:443");
  CHECK(f.resolver->asked == 1);
  f.now += 2'000;
  CHECK(f.use() == "192.0.2.1:443");
  CHECK(f.use() == "192.0.2.1:443");
  CHECK(f.resolver->asked == 2);
  f.resolver->answer(found({"192.0.2.2"}, 60s));
  CHECK(f.use() == "192.0.2.2:443");
}

TEST_CASE("an answer that lapsed unused is not used any more") {
  Fixture f;
  f.use();
  f.resolver->answer(found({"192.0.2.1"}, 60s));
  f.now += 61'000;
  CHECK(f.use() == "waits");
  f.resolver->answer(found({"192.0.2.2"}, 60s));
  CHECK(Fixture::text(f.heard.back()) == "192.0.2.2:443");
}

TEST_CASE("lifetimes are a second at least and an hour at most") {
  Fixture f;
  f.use();
  f.resolver->answer(found({"192.0.2.1"}, 0s));
  f.now += 700;
  CHECK(f.use() == "192.0.2.1:443");
  CHECK(f.resolver->asked == 1);
  f.now += 400;
  CHECK(f.use() == "waits");
  f.resolver->answer(found({"192.0.2.1"}, std::chrono::seconds(1'000'000'000)));
  f.now += 3'599'000;
  CHECK(f.use() == "192.0.2.1:443");
  CHECK(f.resolver->asked == 3);
  f.now += 2'000;
  f.resolver->answer(found({"192.0.2.3"}, 60s));
  CHECK(f.use() == "192.0.2.3:443");
}

TEST_CASE("the last good answer is kept while asking fails, for an hour; a definite answer ends that") {
  Fixture f;
  f.use();
  f.resolver->answer(found({"192.0.2.1"}, 10s));
  f.now += 9'000;
  CHECK(f.use() == "192.0.2.1:443");
  CHECK(f.resolver->asked == 2);
  f.resolver->answer({{}, {}, "the name server does not answer", false});
  f.now += 2'000; // lapsed
  CHECK(f.use() == "192.0.2.1:443");
  CHECK(f.resolver->asked == 2); // it was asked a moment ago
  f.now += 4'000;
  CHECK(f.use() == "waits");
  CHECK(f.resolver->asked == 3);
  f.now += 1'000; // patience is at its end
  CHECK(f.use() == "192.0.2.1:443");
  CHECK(Fixture::text(f.host->settle()) == "192.0.2.1:443");
  f.resolver->answer({{}, {}, "the name server does not answer", false});
  CHECK(Fixture::text(f.heard.back()) == "192.0.2.1:443");

  SUBCASE("an hour is the limit") {
    f.now += 3'600'000;
    CHECK(f.use() == "waits");
    CHECK(f.host->settle()->failure == std::string("the upstream's name was not resolved in time"));
    f.resolver->answer({{}, {}, "the name server does not answer", false});
    CHECK(f.heard.back()->places.empty());
    CHECK(f.heard.back()->failure == std::string("the name server does not answer"));
  }
  SUBCASE("there is no such name any more") {
    f.now += 6'000;
    CHECK(f.use() == "waits");
    f.resolver->answer({{}, {}, "the upstream's name does not exist", true});
    CHECK(f.heard.back()->places.empty());
  }
}

TEST_CASE("a failure counts for five seconds") {
  Fixture f;
  f.use();
  f.resolver->answer({{}, {}, "the upstream's name does not exist", true});
  CHECK(f.heard.back()->failure == std::string("the upstream's name does not exist"));
  f.now += 4'900;
  CHECK(f.use().empty());
  CHECK(f.resolver->asked == 1);
  f.now += 200;
  CHECK(f.use() == "waits");
  CHECK(f.resolver->asked == 2);
  f.resolver->answer(found({"192.0.2.9"}, 10s));
  CHECK(f.use() == "192.0.2.9:443");
}

TEST_CASE("an address keeps its number while it stays, and gets another when it comes back") {
  Fixture f;
  const auto ask = [&](const std::vector<std::string> &ips) {
    f.now += 3'600'000;
    f.use();
    f.resolver->answer(found(ips, 1s));
    std::vector<std::uint64_t> ids;
    for (const auto &place : f.host->find()->places)
      ids.push_back(place.id);
    return ids;
  };
  const auto one = ask({"192.0.2.1", "192.0.2.2"});
  const auto two = ask({"192.0.2.2", "192.0.2.3"});
  const auto three = ask({"192.0.2.1"});
  CHECK(one[1] == two[0]);
  CHECK(two[1] != one[0]);
  CHECK(three[0] != one[0]);
  CHECK(one[0] != 0);
}

TEST_CASE("a resolver that never answers is asked again, and addresses ask nobody") {
  Fixture f;
  f.use();
  f.now += 59'000;
  CHECK(f.use() == "waits");
  CHECK(f.resolver->asked == 1);
  f.now += 2'000;
  CHECK(f.use() == "waits");
  CHECK(f.resolver->asked == 2);

  for (const char *text : {"192.0.2.7:80", "[2001:db8::7]:80"}) {
    const auto literal = HostName::parse(text, nullptr);
    REQUIRE(literal->find());
    CHECK(Fixture::text(literal->find()) == text);
  }
  for (const char *bad :
       {"", "up.example", "up.example:", "up.example:70000", ":443", "a b:1", "http://up:1", "::1:80", "192.0.2:80"})
    CHECK_THROWS_AS(HostName::parse(bad, nullptr), matrixos::Error);
}

TEST_CASE("a name that is gone does not mind its answer") {
  Fixture f;
  f.use();
  f.host.reset();
  f.resolver->answer(found({"192.0.2.1"}, 60s));
  CHECK(f.heard.empty());
}
