#include "plugin/Manifest.h"

#include <doctest/doctest.h>

#include <cstring>
#include <memory>

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
