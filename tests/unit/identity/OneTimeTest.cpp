#include <doctest/doctest.h>
#include <identity/OneTime.h>

using namespace matrixos::identity;

namespace {

Digest id(const char *text) {
  return Digest::of(text);
}

} // namespace

TEST_CASE("it is fetched once, in time") {
  OneTime<int> table(60, 10);
  table.put(id("a"), 1, 100);
  CHECK(!table.take(id("b"), 100));
  CHECK(table.take(id("a"), 159) == 1);
  CHECK(!table.take(id("a"), 159));
  table.put(id("a"), 2, 200);
  CHECK(!table.take(id("a"), 260));
  CHECK(!table.take(id("a"), 210)); // a look too late was one
}

TEST_CASE("of too many the oldest goes, and an id that comes twice is the first one's") {
  OneTime<int> table(60, 2);
  table.put(id("a"), 1, 0);
  table.put(id("b"), 2, 0);
  table.put(id("b"), 9, 0);
  table.put(id("c"), 3, 0);
  CHECK(!table.take(id("a"), 1));
  CHECK(table.take(id("b"), 1) == 2);
  CHECK(table.take(id("c"), 1) == 3);
}
