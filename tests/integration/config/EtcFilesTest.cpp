// etc/matrixosd.ini and .xml are what the core and the plugins of this tree declare, word for word. After a change of
// a key:  MATRIXOS_TEST_WRITE_ETC=1 build/dev/tests/integration-etc
#include "config/CoreSchema.h"
#include "config/Loader.h"
#include "config/Validator.h"
#include "support/Render.h"

#include <matrixos/abi/runtime.h>

#include <dlfcn.h>
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

using namespace matrixos::config;

namespace {

namespace fs = std::filesystem;

const fs::path kEtc = MATRIXOS_ETC_DIR;

/// The core's schema with that of every built plugin. The plugins stay loaded.
Schema wholeSchema() {
  Schema schema = coreSchema();
  std::istringstream files(MATRIXOS_PLUGIN_FILES);
  for (std::string file; std::getline(files, file, ':');) {
    CAPTURE(file);
    void *library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    const char *why = library != nullptr ? "" : ::dlerror();
    CAPTURE(why);
    REQUIRE((library != nullptr));
    const auto entry = reinterpret_cast<mos_plugin_entry_fn>(::dlsym(library, MOS_ENTRY_NAME));
    REQUIRE((entry != nullptr));
    const mos_descriptor_v1 *plugin = entry();
    std::vector<mos_config_key> keys(plugin->config_keys, plugin->config_keys + plugin->config_keys_count);
    for (std::uint32_t i = 0; i < plugin->provides_count; ++i) {
      if (plugin->provides[i].service == std::string(MOS_RUNTIME_1)) keys.push_back(isolationKey());
    }
    schema.addPlugin(plugin->id, plugin->description != nullptr ? plugin->description : "", keys);
  }
  return schema;
}

void expectFile(const fs::path &file, const std::string &text) {
  CAPTURE(file.string());
  if (std::getenv("MATRIXOS_TEST_WRITE_ETC") != nullptr) {
    std::ofstream(file, std::ios::binary) << text;
    return;
  }
  std::ostringstream now;
  now << std::ifstream(file, std::ios::binary).rdbuf();
  CHECK_MESSAGE(now.str() == text, "out of date; write it anew with MATRIXOS_TEST_WRITE_ETC=1 and this program");
}

} // namespace

TEST_CASE("etc/matrixosd.ini and .xml are what core and plugins declare") {
  const Schema schema = wholeSchema();
  expectFile(kEtc / "matrixosd.ini", renderIni(schema));
  expectFile(kEtc / "matrixosd.xml", renderXml(schema));
}

TEST_CASE("both are valid, say the same, and say the defaults") {
  const Schema schema = wholeSchema();
  const auto dumpOf = [&](const fs::path &file) {
    LoadOptions options;
    options.file = file;
    return validate(load(options), schema)->dump(Config::Detail::Values);
  };
  const std::string defaults = dumpOf({});
  CHECK(dumpOf(kEtc / "matrixosd.ini") == defaults);
  CHECK(dumpOf(kEtc / "matrixosd.xml") == defaults);
}

TEST_CASE("the examples are valid for the plugins they configure") {
  const Schema whole = wholeSchema();
  std::size_t seen = 0;
  for (const auto &entry : fs::directory_iterator(kEtc / "examples")) {
    const fs::path &file = entry.path();
    if (file.extension() != ".ini" && file.extension() != ".xml") continue;
    ++seen;
    CAPTURE(file.string());
    LoadOptions options;
    options.file = file;
    const RawConfig raw = load(options);
    Schema schema = whole;
    for (const auto &section : raw.sections) {
      if (schema.find(section.name) == nullptr) schema.addUncheckedPlugin(section.name, "the plugin is not built here");
    }
    CHECK_NOTHROW(validate(raw, schema));
  }
  CHECK(seen >= 3);
}
