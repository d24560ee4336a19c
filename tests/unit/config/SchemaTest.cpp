#include "config/Schema.h"

#include "config/CoreSchema.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace matrixos;
using namespace matrixos::config;

namespace {

/// Why a plugin with this key is refused; empty when it is not.
std::string refusal(const mos_config_key &key) {
  Schema schema;
  try {
    schema.addPlugin("demo", "", std::span(&key, 1));
    return {};
  } catch (const Error &e) {
    return e.what();
  }
}

} // namespace

TEST_CASE("a plugin's wrong declaration is refused by name") {
  const std::string start = "plugin \"demo\" declares the key \"k\" wrongly: ";
  CHECK(refusal({"k", "string", nullptr, nullptr, nullptr, 0, 0}).empty());
  CHECK(refusal({"k", "text", nullptr, nullptr, nullptr, 0, 0}) == start + "the type \"text\" does not exist");
  CHECK(refusal({"k", nullptr, nullptr, nullptr, nullptr, 0, 0}) == start + "the type \"\" does not exist");
  CHECK(refusal({"k", "int", "many", nullptr, nullptr, 0, 0}) ==
        start + "\"many\" is not a whole number; write one like many");
  CHECK(refusal({"k", "int", "5", "10..20", nullptr, 0, 0}) ==
        start + "\"5\" is out of range; it has to be from 10 to 20");
  CHECK(refusal({"k", "int", "5", "10", nullptr, 0, 0}) == start + "the range is not of the form min..max");
  CHECK(refusal({"k", "duration", "5s", "1..10", nullptr, 0, 0}).find(start + "\"1\" is not a duration") == 0);
  CHECK(refusal({"k", "enum", "a", nullptr, nullptr, 0, 0}) == start + "an enum lists its words in the range");
  CHECK(refusal({"k", "enum", "c", "a|b", nullptr, 0, 0}) == start + "\"c\" is not a choice here; write a or b");
  CHECK(refusal({"k", "string", "pw", nullptr, nullptr, MOS_KEY_SECRET, 0}) == start + "a secret has no default");
  CHECK(refusal({"k", "string", "", nullptr, nullptr, MOS_KEY_PUBLIC, 0}) ==
        start + "MOS_KEY_PUBLIC belongs to keys of type bool");
  CHECK(refusal({"k", "url", "http://a", "https", nullptr, 0, 0}).find(start + "\"http://a\" is no URL here") == 0);
  CHECK(refusal({"k", "url", nullptr, "HTTPS|a b", nullptr, 0, 0}) ==
        start + "the range of a url, or of urls, lists schemes, like http|https");
  CHECK(refusal({"k", "urls", "https://a, http://b", "https", nullptr, 0, 0}).find(start + "\"http://b\" is no URL") ==
        0);
  CHECK(refusal({"k", "urls", nullptr, "|", nullptr, 0, 0}).find("lists schemes") != std::string::npos);
  CHECK(refusal({"k", "domain", "a/b", nullptr, nullptr, 0, 0}).find(start + "\"a/b\" is no bare domain") == 0);
  CHECK(refusal({"k", "pattern", "a", nullptr, nullptr, 0, 0}) ==
        start + "a pattern has a regular expression as its range");
  CHECK(refusal({"k", "pattern", nullptr, "(a", nullptr, 0, 0}).find(start + "its pattern cannot be read: ") == 0);
  CHECK(refusal({"k", "pattern", nullptr, "(a)\\1", nullptr, 0, 0}).find(start + "its pattern cannot be read: ") == 0);
  CHECK(refusal({"k", "pattern", nullptr, "((((.{1,99}){1,99}){1,99}){1,99})", nullptr, 0, 0})
            .find(start + "its pattern cannot be read: ") == 0);
  CHECK(refusal({"k", "pattern", "1", "[a-z]+", nullptr, 0, 0}) ==
        start + "\"1\" does not match [a-z]+; write text that does, like 1");
  CHECK_FALSE(refusal({"K", "string", nullptr, nullptr, nullptr, 0, 0}).empty());
  CHECK_FALSE(refusal({"a-b", "string", nullptr, nullptr, nullptr, 0, 0}).empty());
  CHECK_FALSE(refusal({nullptr, "string", nullptr, nullptr, nullptr, 0, 0}).empty());
}

TEST_CASE("no name is declared twice") {
  const mos_config_key twice[] = {{"k", "string", "", nullptr, nullptr, 0, 0},
                                  {"k", "int", "1", nullptr, nullptr, 0, 0}};
  const mos_config_key twin[] = {{"k", "string", nullptr, nullptr, nullptr, MOS_KEY_SECRET, 0},
                                 {"k_file", "path", "", nullptr, nullptr, 0, 0}};
  Schema schema = coreSchema();
  CHECK_THROWS_AS(schema.addPlugin("a", "", twice), Error);
  CHECK_THROWS_AS(schema.addPlugin("b", "", twin), Error);
  CHECK_THROWS_AS(schema.addPlugin("api", "", {}), Error);
  CHECK_THROWS_AS(schema.addPlugin("No", "", {}), Error);
  CHECK_THROWS_AS(schema.addPlugin("", "", {}), Error);
  schema.addPlugin("ok", "", std::span(twice, 1));
  CHECK_THROWS_AS(schema.addPlugin("ok", "", {}), Error);
  // A refused declaration leaves nothing behind.
  CHECK(schema.find("a") == nullptr);
  CHECK(schema.find("ok") != nullptr);
}

TEST_CASE("the core declares what every installation relies on") {
  const Schema schema = coreSchema();
  const auto defaultOf = [&](const char *section, const char *key) {
    REQUIRE(schema.find(section) != nullptr);
    REQUIRE(schema.find(section)->find(key) != nullptr);
    return schema.find(section)->find(key)->defaultValue;
  };
  CHECK(defaultOf("platform", "domain") == "matrix-os.com");
  CHECK(defaultOf("platform", "data_dir") == "/var/lib/matrixos");
  CHECK(defaultOf("platform", "secret_file").empty());
  CHECK(defaultOf("api", "listen") == "unix:<data_dir>/run/api.sock");
  CHECK(defaultOf("api", "admin") == "unix:<data_dir>/run/admin.sock");
  CHECK(defaultOf("api", "auth") == "secret");
  CHECK(defaultOf("api", "threads") == "64");
  CHECK(defaultOf("plugins", "enabled") == "runtime-docker, orchestrator, lifecycle, social, proxy");
  CHECK(schema.find("log")->find("level")->isLive());
}

TEST_CASE("variables are named after section and key") {
  CHECK(environmentName("runtime-docker", "endpoint") == "MATRIXOS_RUNTIME_DOCKER_ENDPOINT");
  CHECK(environmentName("api", "header_timeout") == "MATRIXOS_API_HEADER_TIMEOUT");
}
