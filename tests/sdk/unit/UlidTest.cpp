#include <matrixos/text/time.hpp>
#include <matrixos/ulid.hpp>

#include <doctest/doctest.h>

#include <set>
#include <string>

namespace {

/// The first 48 bits, read the way the specification writes them.
std::int64_t timeOf(const std::string &ulid) {
  static const std::string digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  std::int64_t ms = 0;
  for (std::size_t i = 0; i < 10; ++i)
    ms = ms * 32 + static_cast<std::int64_t>(digits.find(ulid[i]));
  return ms;
}

} // namespace

TEST_CASE("a ULID carries the time and is not repeated") {
  const std::int64_t before = matrixos::wallClockMs();
  std::set<std::string> seen;
  for (int i = 0; i < 10'000; ++i) {
    const std::string ulid = matrixos::makeUlid();
    REQUIRE(ulid.size() == 26);
    REQUIRE(ulid.find_first_not_of("0123456789ABCDEFGHJKMNPQRSTVWXYZ") == std::string::npos);
    REQUIRE(ulid[0] <= '7'); // 130 bits hold 128
    seen.insert(ulid);
  }
  CHECK(seen.size() == 10'000);
  const std::int64_t time = timeOf(matrixos::makeUlid());
  CHECK(time >= before);
  CHECK(time <= matrixos::wallClockMs());
}
