#include "plugin/EventSchema.h"

#include "plugin/HostContext.h"
#include "plugin/ManifestJson.h"
#include "unit/plugin/HostFixture.h"

#include <matrixos/host/events.hpp>
#include <matrixos/status.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace matrixos;
using namespace matrixos::plugin;

namespace {

/// Why the event is refused; "" when it fits.
std::string misfit(const std::string &schema, const std::string &event) {
  const EventSchema parsed = EventSchema::parse(schema);
  try {
    parsed.check(event);
    return {};
  } catch (const Error &e) {
    CHECK(e.status() == Status::InvalidArgument);
    CHECK(e.reason() == "EVENT_SCHEMA");
    return std::string(e.what()).substr(std::string("the event does not fit the schema of its topic: ").size());
  }
}

/// Why the schema is refused; "" when it is not.
std::string refusal(const std::string &schema) {
  try {
    EventSchema::parse(schema);
    return {};
  } catch (const Error &e) {
    CHECK(e.status() == Status::InvalidArgument);
    return e.what();
  }
}

constexpr const char *kSent = R"({
  "$schema": "http://json-schema.org/draft-07/schema#", "title": "A hook was sent", "type": "object",
  "required": ["id", "to"], "additionalProperties": false,
  "properties": {
    "id": {"type": "string", "minLength": 2, "maxLength": 4},
    "to": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "string"}},
    "attempt": {"type": "integer", "minimum": 1, "maximum": 9},
    "result": {"enum": ["done", 7, true, null]},
    "a/b~c": {"type": ["number", "null"]},
    "more": {"type": "object", "additionalProperties": {"const": "x"}}
  }})";

} // namespace

TEST_CASE("an event that does not fit its schema is refused with where and why") {
  struct Row {
    const char *event, *why;
  };
  for (const Row &row : {
           Row{R"({"id":"ab","to":["x"]})", ""},
           {R"({"id":"äöüß","to":["x","y"],"attempt":3,"result":"done","a/b~c":1.5,"more":{"k":"x"}})", ""},
           {R"({"id":"ab","to":["x"],"attempt":3.0,"result":7.0,"a/b~c":null})", ""},
           {R"([])", "the whole is of another type"},
           {R"("text")", "the whole is neither object nor array"},
           {"", "the whole is neither object nor array"},
           {R"({"to":["x"]})", "/id is missing"},
           {R"({"id":7,"to":["x"]})", "/id is of another type"},
           {R"({"id":"a","to":["x"]})", "/id is too short or too long"},
           {R"({"id":"abcde","to":["x"]})", "/id is too short or too long"},
           {R"({"id":"ab","to":[]})", "/to has too few or too many items"},
           {R"({"id":"ab","to":["x","y","z"]})", "/to has too few or too many items"},
           {R"({"id":"ab","to":["x",1]})", "/to/1 is of another type"},
           {R"({"id":"ab","to":["x"],"attempt":0})", "/attempt is out of range"},
           {R"({"id":"ab","to":["x"],"attempt":10})", "/attempt is out of range"},
           {R"({"id":"ab","to":["x"],"attempt":1.5})", "/attempt is of another type"},
           {R"({"id":"ab","to":["x"],"attempt":true})", "/attempt is of another type"},
           {R"({"id":"ab","to":["x"],"result":"gone"})", "/result is none of the values that it may have"},
           {R"({"id":"ab","to":["x"],"result":"7"})", "/result is none of the values that it may have"},
           {R"({"id":"ab","to":["x"],"result":[7]})", "/result is none of the values that it may have"},
           {R"({"id":"ab","to":["x"],"a/b~c":"1"})", "/a~1b~0c is of another type"},
           {R"({"id":"ab","to":["x"],"more":{"k":"y"}})", "/more/k is none of the values that it may have"},
           {R"({"id":"ab","to":["x"],"extra":1})", "/extra is not expected"},
       }) {
    CAPTURE(std::string(row.event));
    CHECK(misfit(kSent, row.event) == row.why);
  }
  CHECK_THROWS_WITH_AS(EventSchema::parse("{}").check("{\"a\":"), doctest::Contains("malformed JSON"), Error);
  CHECK_THROWS_AS(EventSchema::parse("{}").check(std::string(100, '[') + std::string(100, ']')), Error);
  CHECK(misfit("{}", R"({"anything": [1]})").empty());
}

TEST_CASE("a schema with what is not checked is refused with where") {
  CHECK(refusal(kSent).empty());
  CHECK(refusal("[]").find("has to be an object") != std::string::npos);
  struct Row {
    const char *schema, *why;
  };
  for (const Row &row : {Row{R"({"$ref":"#"})", "/$ref is a keyword that is not checked"},
                         {R"({"properties":{"a":{"pattern":"x"}}})", "/properties/a/pattern is a keyword that"},
                         {R"({"anyOf":[{}]})", "/anyOf is a keyword that is not checked"},
                         {R"({"type":"text"})", "/type is no type"},
                         {R"({"type":["string",1]})", "/type is no type"},
                         {R"({"properties":[]})", "/properties is no object"},
                         {R"({"properties":{"a":1}})", "/properties/a is no object"},
                         {R"({"items":[{}]})", "/items is no object"},
                         {R"({"required":"a"})", "/required is no array"},
                         {R"({"required":[1]})", "/required names what is no text"},
                         {R"({"enum":[{}]})", "/enum is neither text"},
                         {R"({"minimum":"1"})", "/minimum is no number"},
                         {R"({"maxItems":-1})", "/maxItems is no count"},
                         {R"({"maxItems":1.5})", "/maxItems is no count"}}) {
    CAPTURE(row.schema);
    CHECK(refusal(row.schema).find(row.why) == 0);
  }
}

TEST_CASE("what a plugin publishes on a topic that it claims with a schema has to fit it") {
  test::HostFixture fixture;
  Manifest manifest;
  manifest.id = "hooks";
  manifest.version = "1.0.0";
  manifest.claims = {{MOS_CLAIM_TOPIC, "hooks.sent", kSent, {}}, {MOS_CLAIM_TOPIC, "hooks.*", {}, {}}};
  fixture.platform.names.expect({{"hooks", manifest.claims}});
  const auto context = HostContext::make(manifest, fixture.platform.core);
  const Events events(context->host());
  CHECK_NOTHROW(events.publish("hooks.sent", R"({"id":"ab","to":["x"]})"));
  CHECK_NOTHROW(events.publish("hooks.other", R"({"any":"thing"})"));
  try {
    events.publish("hooks.sent", R"({"id":"ab","to":[7]})");
    FAIL("published");
  } catch (const Error &e) {
    CHECK(e.status() == Status::InvalidArgument);
    CHECK(e.reason() == "EVENT_SCHEMA");
    CHECK(std::string(e.what()).find("/to/0 is of another type") != std::string::npos);
  }
  context->sweep(std::chrono::seconds{5});
  CHECK(json::dump(toJson(manifest)).find(R"("title":"A hook was sent")") != std::string::npos);
}
