// The schemas by themselves: they describe all, accept their own examples, and refuse whatever is broken in them.
#include "Schemas.h"

#include <doctest/doctest.h>

using namespace matrixos::test;

TEST_CASE("every member is described, and every number has its unit") {
  REQUIRE(schemaNames().size() >= 18);
  for (const std::string &schema : schemaNames()) {
    for (const std::string &problem : undescribed(schema))
      FAIL_CHECK(schema << problem);
  }
}

TEST_CASE("examples fit, and what is broken in them is refused") {
  int refused = 0;
  for (const std::string &schema : schemaNames()) {
    CAPTURE(schema);
    const std::vector<std::string> examples = examplesOf(schema);
    CHECK(!examples.empty());
    for (const std::string &example : examples) {
      CAPTURE(example);
      CHECK(misfit(schema, example) == "");
      for (const Broken &broken : brokenVariants(schema, example)) {
        CAPTURE(broken.what);
        CHECK(misfit(schema, broken.json) != "");
        ++refused;
      }
    }
  }
  MESSAGE(refused << " broken documents refused");
  CHECK(refused > 200);
}

TEST_CASE("members that a schema does not know are let through: both sides ignore them") {
  CHECK(misfit("create-answer", R"({"ref": "c0ffee", "since": "later versions"})") == "");
  CHECK(misfit("create-answer", R"({"since": "later versions"})") != "");
  CHECK(misfit("create-answer", "{\"ref\": ") == "no JSON");
}

TEST_CASE("what was written against SDK 1.0 still fits: nothing was retyped or made required since") {
  const std::vector<Recorded> payloads = recordedPayloads("sdk-1.0");
  CHECK(payloads.size() >= 25);
  for (const Recorded &payload : payloads) {
    CAPTURE(payload.schema);
    CAPTURE(payload.json);
    CHECK(misfit(payload.schema, payload.json) == "");
  }
}
