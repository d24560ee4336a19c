#include <matrixos/status.hpp>

#include <doctest/doctest.h>
#include <identity/DeviceFlow.h>
#include <support/Errors.h>

#include <set>

using namespace matrixos;
using namespace matrixos::identity;
using matrixos::test::errorOf;

namespace {

using Answer = DeviceFlow::Answer;

struct Fixture {
  std::int64_t now = 1'000'000;
  DeviceFlow flow{[this] { return now; }};
  const Digest signIn = Digest::of("ada's");
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "a program waits, is let in, and hears so once") {
  const auto begun = flow.begin("ctl", "203.0.113.7");
  CHECK(begun.deviceCode.size() == kIdLength);
  CHECK(flow.poll(begun.deviceCode, "ctl").answer == Answer::Waiting);
  const auto asking = flow.find(begun.userCode, "ada");
  REQUIRE(asking);
  CHECK(asking->userCode == begun.userCode);
  CHECK(asking->address == "203.0.113.7");
  CHECK(asking->at == now);
  CHECK(flow.decide(begun.userCode, "ada", signIn, true)->client == "ctl");
  CHECK(!flow.decide(begun.userCode, "eve", Digest::of("eve's"), false)); // it has its answer
  CHECK(!flow.find(begun.userCode, "eve"));
  now += DeviceFlow::kIntervalMs;
  CHECK(flow.poll(begun.deviceCode, "other").answer == Answer::Unknown); // another client's
  const auto polled = flow.poll(begun.deviceCode, "ctl");
  CHECK(polled.answer == Answer::Allowed);
  CHECK(polled.signIn == signIn);
  now += DeviceFlow::kIntervalMs;
  CHECK(flow.poll(begun.deviceCode, "ctl").answer == Answer::Waiting); // it is being used
  flow.putBack(begun.deviceCode);                                      // in vain
  now += DeviceFlow::kIntervalMs;
  CHECK(flow.poll(begun.deviceCode, "ctl").answer == Answer::Allowed);
  flow.done(begun.deviceCode);
  flow.done(begun.deviceCode);
  flow.putBack(begun.deviceCode);
  now += DeviceFlow::kIntervalMs;
  CHECK(flow.poll(begun.deviceCode, "ctl").answer == Answer::Unknown);
}

TEST_CASE_FIXTURE(Fixture, "codes are letters that nobody mixes up, and are read as people type them") {
  std::set<std::string> codes;
  for (int i = 0; i < 1000; ++i) {
    const std::string code = flow.begin("", "").userCode;
    REQUIRE(code.size() == 9);
    CHECK(code[4] == '-');
    CHECK((code.substr(0, 4) + code.substr(5)).find_first_not_of("BCDFGHJKLMNPQRSTVWXZ") == std::string::npos);
    codes.insert(code);
  }
  CHECK(codes.size() == 1000);
  std::string typed = *codes.begin();
  for (char &c : typed)
    c = c == '-' ? ' ' : static_cast<char>(c + ('a' - 'A'));
  CHECK(flow.find("  " + typed + "\n", "ada"));
  CHECK(flow.find(typed.substr(0, 4) + typed.substr(5), "ada"));
  CHECK(!flow.find(typed.substr(0, 8), "ada"));
  CHECK(!flow.find(typed + "B", "ada"));
}

TEST_CASE_FIXTURE(Fixture, "whoever asks too often is told to slow down, five seconds more each time") {
  const auto begun = flow.begin("", "");
  CHECK(flow.poll(begun.deviceCode, "").answer == Answer::Waiting);
  now += 4000;
  CHECK(flow.poll(begun.deviceCode, "").answer == Answer::TooSoon); // now 10 s
  now += 5000;
  CHECK(flow.poll(begun.deviceCode, "").answer == Answer::TooSoon); // now 15 s
  now += 15'000;
  CHECK(flow.poll(begun.deviceCode, "").answer == Answer::Waiting);
  flow.decide(begun.userCode, "ada", signIn, true);
  now += 10'000;
  CHECK(flow.poll(begun.deviceCode, "").answer == Answer::TooSoon);
  now += 20'000;
  CHECK(flow.poll(begun.deviceCode, "").answer == Answer::Allowed);
}

TEST_CASE_FIXTURE(Fixture, "a refusal and an end are told for as long as anybody asks") {
  const auto refused = flow.begin("", ""), late = flow.begin("", ""), unheard = flow.begin("", "");
  CHECK(flow.decide(refused.userCode, "ada", signIn, false));
  CHECK(flow.decide(unheard.userCode, "ada", signIn, true));
  for (int i = 0; i < 3; ++i, now += DeviceFlow::kIntervalMs)
    CHECK(flow.poll(refused.deviceCode, "").answer == Answer::Denied);
  now = 1'000'000 + DeviceFlow::kTtlMs;
  CHECK(!flow.find(late.userCode, "ada"));
  CHECK(!flow.decide(late.userCode, "ada", signIn, true));
  CHECK(flow.poll(late.deviceCode, "").answer == Answer::Expired);
  CHECK(flow.poll(unheard.deviceCode, "").answer == Answer::Expired); // nobody fetched it in time
  now += DeviceFlow::kTtlMs;
  flow.begin("", "");
  CHECK(flow.poll(late.deviceCode, "").answer == Answer::Unknown);
}

TEST_CASE_FIXTURE(Fixture, "guesses are counted for each user and in all, and forgotten after ten minutes") {
  const auto begun = flow.begin("", "");
  const auto guess = [&](const std::string &user) { return errorOf([&] { flow.find("BBBB-BBBB", user); }).reason(); };
  for (std::size_t i = 0; i < DeviceFlow::kMostGuessesOfOne; ++i)
    CHECK(!flow.find("BBBB-BBBB", "eve"));
  CHECK(guess("eve") == "TOO_MANY_GUESSES");
  CHECK(errorOf([&] { flow.decide(begun.userCode, "eve", signIn, true); }).reason() == "TOO_MANY_GUESSES");
  CHECK(flow.find(begun.userCode, "ada"));
  const auto guessAll = [&](std::size_t first, std::size_t last) { // accounts, each as often as it may
    for (std::size_t i = first * DeviceFlow::kMostGuessesOfOne; i < last * DeviceFlow::kMostGuessesOfOne; ++i)
      CHECK(!flow.decide("BBBB-BBBB", "eve" + std::to_string(i / DeviceFlow::kMostGuessesOfOne), signIn, true));
  };
  guessAll(1, 100);
  CHECK(flow.find(begun.userCode, "ada"));
  guessAll(100, DeviceFlow::kMostGuesses / DeviceFlow::kMostGuessesOfOne);
  CHECK(guess("ada") == "TOO_MANY_GUESSES");
  now += DeviceFlow::kTtlMs;
  CHECK(!flow.find(begun.userCode, "eve")); // expired meanwhile
}

TEST_CASE_FIXTURE(Fixture, "of too many the oldest goes") {
  const auto first = flow.begin("", ""), second = flow.begin("", "");
  for (std::size_t i = 2; i < DeviceFlow::kMost; ++i)
    flow.begin("", "");
  CHECK(flow.find(first.userCode, "ada"));
  flow.begin("", "");
  CHECK(!flow.find(first.userCode, "ada"));
  CHECK(flow.poll(first.deviceCode, "").answer == Answer::Unknown);
  CHECK(flow.find(second.userCode, "ada"));
}
