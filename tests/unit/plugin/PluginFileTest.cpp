#include "plugin/PluginFile.h"

#include "HostFixture.h"
#include "support/Text.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>

using namespace matrixos;
using namespace matrixos::test;
namespace fs = std::filesystem;

namespace {

std::string refusal(const fs::path &folder, const std::string &id) {
  try {
    plugin::PluginFile::load(folder, id, plugin::PluginFiles::temporary());
    return "";
  } catch (const Error &e) {
    return e.what();
  }
}

} // namespace

TEST_CASE("only files that nobody else can change are loaded") {
  const TempDir dir;
  const fs::path folder = dir / "plugins";
  fs::create_directories(folder);
  fs::permissions(folder, fs::perms::owner_all);
  fs::copy_file(testPlugins() / "fake-good.so", folder / "fake-good.so");
  fs::permissions(folder / "fake-good.so", fs::perms::owner_all);
  CHECK(refusal(folder, "fake-good") == "");

  fs::permissions(folder / "fake-good.so", fs::perms::owner_all | fs::perms::others_write);
  CHECK(has(refusal(folder, "fake-good"), "mode 0702"));
  fs::permissions(folder / "fake-good.so", fs::perms::owner_all);
  fs::permissions(folder, fs::perms::all);
  CHECK(has(refusal(folder, "fake-good"), "the plugin folder"));
  fs::permissions(folder, fs::perms::owner_all);
  if (::geteuid() == 0) {
    REQUIRE(::chown((folder / "fake-good.so").c_str(), 65534, 65534) == 0);
    CHECK(has(refusal(folder, "fake-good"), "is owned by nobody"));
  }
}

TEST_CASE("links out of the folder, strange files and missing ones are refused with a sentence") {
  const TempDir dir;
  const fs::path folder = dir / "plugins";
  fs::create_directories(folder);
  fs::permissions(folder, fs::perms::owner_all);
  fs::create_symlink(testPlugins() / "fake-good.so", folder / "linked.so");
  CHECK(has(refusal(folder, "linked"), "is a link out of its folder"));
  writeFile(folder / "text.so", "hello");
  CHECK(has(refusal(folder, "text"), "is not a 64-bit shared object"));
  fs::copy_file("/proc/self/exe", folder / "program.so");
  CHECK(has(refusal(folder, "program"), "program.so"));
  CHECK(has(refusal(folder, "absent"), "there are: linked, program, text"));
}

TEST_CASE("a file that was cut short is refused before it can crash the daemon") {
  const TempDir dir;
  const fs::path folder = dir / "plugins";
  fs::create_directories(folder);
  fs::permissions(folder, fs::perms::owner_all);
  const std::string whole = readFile(testPlugins() / "fake-good.so");
  for (std::size_t part = 1; part < 16; ++part) {
    writeFile(folder / "cut.so", whole.substr(0, whole.size() * part / 16));
    CHECK(has(refusal(folder, "cut"), "is damaged"));
  }
  writeFile(folder / "cut.so", whole.substr(0, 20));
  CHECK(has(refusal(folder, "cut"), "is not a 64-bit shared object"));
}

TEST_CASE("a shared object without our entry is no plugin") {
  const TempDir dir;
  const fs::path folder = dir / "plugins";
  fs::create_directories(folder);
  fs::permissions(folder, fs::perms::owner_all);
  fs::copy_file(fs::canonical("/usr/lib/x86_64-linux-gnu/libPocoFoundation.so"), folder / "poco.so");
  CHECK(has(refusal(folder, "poco"), "does not export mos_plugin_entry_v1"));
}
