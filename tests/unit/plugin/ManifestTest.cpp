#include "plugin/Manifest.h"

#include "support/Errors.h"

#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using matrixos::plugin::Manifest;

TEST_CASE("a manifest does not need the plugin's memory any more") {
  char id[] = "demo", name[] = "Demo", version[] = "1.0.0", key[] = "endpoint", type[] = "string", help[] = "Where.";
  const mos_config_key keys[] = {{key, type, nullptr, nullptr, help, MOS_KEY_LIVE, 0}};
  mos_descriptor_v1 d{};
  d.struct_size = sizeof d;
  d.magic = MOS_MAGIC;
  d.abi_major = MOS_ABI_MAJOR;
  d.id = id;
  d.name = name;
  d.version = version;
  d.config_keys = keys;
  d.config_keys_count = 1;
  d.create = [](const mos_host_v1 *, mos_plugin_v1 *, mos_error *) -> mos_status { return MOS_OK; };

  auto first = std::make_unique<Manifest>(Manifest::read(&d, "demo"));
  for (char *text : {id, name, version, key, type, help})
    std::memset(text, 'x', std::strlen(text));
  const Manifest m = *first;
  first.reset();

  CHECK(m.id == "demo");
  const auto abi = m.abiConfigKeys();
  REQUIRE(abi.size() == 1);
  CHECK(abi[0].key == std::string("endpoint"));
  CHECK(abi[0].default_value == std::string());
  CHECK(abi[0].help == std::string("Where."));
  CHECK(abi[0].flags == MOS_KEY_LIVE);
  CHECK(m.create(nullptr, nullptr, nullptr) == MOS_OK);
}

TEST_CASE("claims are read, and refused where they take in what is not a plugin's") {
  mos_claim claim{MOS_CLAIM_TABLE, "hooks_*", nullptr, "Webhooks."};
  mos_descriptor_v1 d{};
  d.struct_size = sizeof d;
  d.magic = MOS_MAGIC;
  d.abi_major = MOS_ABI_MAJOR;
  d.id = "hooks";
  d.name = "Hooks";
  d.version = "1.0.0";
  d.claims = &claim;
  d.claims_count = 1;
  d.create = [](const mos_host_v1 *, mos_plugin_v1 *, mos_error *) -> mos_status { return MOS_OK; };
  const auto refusal = [&](const char *kind, const char *pattern, const char *schema = nullptr) {
    claim = {kind, pattern, schema, nullptr};
    try {
      const Manifest read = Manifest::read(&d, "hooks");
      return read.claims.at(0).pattern == pattern ? std::string() : "read as " + read.claims[0].pattern;
    } catch (const matrixos::Error &e) {
      CHECK(e.reason() == "PLUGIN_DESCRIPTOR");
      return std::string(e.what());
    }
  };
  CHECK(Manifest::read(&d, "hooks").claimed(MOS_CLAIM_TABLE) == std::vector<std::string>{"hooks_*"});
  CHECK(Manifest::read(&d, "hooks").claimed(MOS_CLAIM_PATH).empty());
  CHECK(refusal(MOS_CLAIM_TABLE, "Containers").empty());
  CHECK(refusal(MOS_CLAIM_TOPIC, "hooks.*", R"({"type":"object"})").empty());
  CHECK(refusal(MOS_CLAIM_PATH, "/hooks").empty());
  CHECK(refusal(MOS_CLAIM_METRIC, "matrixos_hooks_*").empty());
  for (const auto &refused :
       std::initializer_list<std::pair<const char *, const char *>>{{MOS_CLAIM_TABLE, "*"},
                                                                    {MOS_CLAIM_TABLE, "a-b"},
                                                                    {MOS_CLAIM_TABLE, "a*b"},
                                                                    {MOS_CLAIM_TABLE, "SQLite_x"},
                                                                    {MOS_CLAIM_TABLE, "matrixos_*"},
                                                                    {MOS_CLAIM_TABLE, "schema_migrations"},
                                                                    {MOS_CLAIM_TOPIC, "*"},
                                                                    {MOS_CLAIM_TOPIC, "a b"},
                                                                    {MOS_CLAIM_PATH, "/"},
                                                                    {MOS_CLAIM_PATH, "hooks"},
                                                                    {MOS_CLAIM_PATH, "/hooks/../admin"},
                                                                    {MOS_CLAIM_PATH, "/hooks*"},
                                                                    {MOS_CLAIM_PATH, "/plugins"},
                                                                    {MOS_CLAIM_PATH, "/config/hooks"},
                                                                    {MOS_CLAIM_PATH, "!"},
                                                                    {MOS_CLAIM_PATH, "!/hooks/.."},
                                                                    {MOS_CLAIM_METRIC, "matrixos_*"},
                                                                    {MOS_CLAIM_METRIC, "hooks_total"},
                                                                    {"colour", "red"},
                                                                    {"", "x"},
                                                                    {MOS_CLAIM_TABLE, ""},
                                                                    {MOS_CLAIM_TABLE, nullptr}}) {
    const char *const kind = refused.first, *const pattern = refused.second;
    CAPTURE(kind);
    CAPTURE(std::string(pattern != nullptr ? pattern : "null"));
    CHECK(matrixos::test::statusOf([&] {
            claim = {kind, pattern, nullptr, nullptr};
            Manifest::read(&d, "hooks");
          }) == matrixos::Status::FailedPrecondition);
  }
  CHECK(refusal(MOS_CLAIM_TOPIC, "hooks.sent", "not json").find("its schema cannot be checked: ") != std::string::npos);
  CHECK(refusal(MOS_CLAIM_TOPIC, "hooks.sent", R"({"properties":{"a":{"pattern":"x"}}})")
            .find("/properties/a/pattern is a keyword that is not checked") != std::string::npos);
  CHECK(refusal(MOS_CLAIM_TABLE, "hooks_a", "{}").find("only topics have a schema") != std::string::npos);
  d.claims = nullptr;
  CHECK(matrixos::test::statusOf([&] { Manifest::read(&d, "hooks"); }) == matrixos::Status::FailedPrecondition);
  // A descriptor as ABI 1.0 has it ends before.
  d.struct_size = MOS_DESCRIPTOR_LEAST_SIZE;
  CHECK(Manifest::read(&d, "hooks").claims.empty());
}
