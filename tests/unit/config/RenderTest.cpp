#include "support/Render.h"

#include "unit/config/Fixture.h"

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

using namespace matrixos::config;
using namespace matrixos::config::test;

namespace {

namespace fs = std::filesystem;

const std::string kEtc = MATRIXOS_ETC_DIR;

std::string values(const LoadOptions &options, const Schema &schema) {
  return validate(load(options), schema)->dump(Config::Detail::Values);
}

} // namespace

TEST_CASE("the rendered files read as all defaults") {
  const TempDir dir;
  const Schema schema = sampleSchema();
  // The sample's plugins are not the core's default ones.
  LoadOptions options;
  const std::string nothing = values(options, schema);
  options.file = dir.write("a/x.ini", renderIni(schema));
  CHECK(values(options, schema) == nothing);
  options.file = dir.write("b/x.xml", renderXml(schema));
  CHECK(values(options, schema) == nothing);
}

TEST_CASE("the rendered files hold every key with its help, unit, range and default") {
  const Schema schema = sampleSchema();
  const std::string ini = renderIni(schema);
  const std::string xml = renderXml(schema);
  for (const auto &section : schema.sections()) {
    CHECK(ini.find("\n[" + section.name + "]\n") != std::string::npos);
    for (const auto &key : section.keys) {
      CAPTURE(key.name);
      const bool active = ini.find("\n" + key.name + " =") != std::string::npos;
      const bool commented = ini.find("\n;" + key.name + " =") != std::string::npos;
      CHECK((active || commented));
      CHECK(xml.find("<" + key.name + ">") != std::string::npos);
    }
  }
  CHECK(ini.find("; Idle time after which an instance is stopped.\n"
                 "; duration (ms, s, m, h, d), 1m..24h; default 30m; takes effect on reload\nidle_timeout = 30m\n") !=
        std::string::npos);
  CHECK(ini.find("\n;token =\n;token_file =\n") != std::string::npos);
  CHECK(xml.find("<!-- <token></token> -->") != std::string::npos);
}

TEST_CASE("help that would end an XML comment cannot") {
  const mos_config_key keys[] = {{"k", "string", "a<b>&--", nullptr, "Evil --> <x/> --- end-", 0, 0}};
  Schema schema;
  schema.addPlugin("p", "--><bad/>", keys);
  const TempDir dir;
  LoadOptions options;
  options.file = dir.write("x.xml", renderXml(schema));
  CHECK(validate(load(options), schema)->getString("p", "k") == "a<b>&--");
}

TEST_CASE("etc/ and its examples are sound INI and XML, and valid for the core") {
  std::size_t seen = 0;
  for (const auto &entry : fs::recursive_directory_iterator(kEtc)) {
    const fs::path file = entry.path();
    if (file.extension() != ".ini" && file.extension() != ".xml") continue;
    ++seen;
    CAPTURE(file.string());
    LoadOptions options;
    options.file = file;
    const RawConfig raw = load(options);
    Schema schema = coreSchema();
    for (const auto &section : raw.sections) {
      if (schema.find(section.name) == nullptr)
        schema.addUncheckedPlugin(section.name, "checked with the plugin itself");
    }
    try {
      validate(raw, schema);
    } catch (const ConfigError &e) {
      FAIL_CHECK(e.what());
    }
  }
  CHECK(seen >= 5);
}

TEST_CASE("etc/matrixosd.ini and .xml start with the core's part as it is rendered") {
  const auto expectStart = [](const std::string &name, const std::string &text) {
    CAPTURE(name);
    std::ostringstream file;
    file << std::ifstream(kEtc + name).rdbuf();
    const std::string wanted = text.substr(0, text.rfind("</matrixos>"));
    CHECK(file.str().substr(0, wanted.size()) == wanted);
  };
  expectStart("/matrixosd.ini", renderIni(coreSchema()));
  expectStart("/matrixosd.xml", renderXml(coreSchema()));
}
