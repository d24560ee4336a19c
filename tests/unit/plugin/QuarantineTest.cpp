#include "plugin/Quarantine.h"

#include "plugin/PluginScope.h"
#include "support/TempDir.h"

#include <doctest/doctest.h>

#include <csignal>
#include <string>
#include <thread>

using namespace matrixos;
using namespace matrixos::test;
namespace fs = std::filesystem;
using plugin::CrashReport;
using plugin::PluginScope;
using plugin::Quarantine;

namespace {

CrashReport crashOf(const std::string &plugin) {
  CrashReport crash;
  crash.plugin = plugin;
  crash.version = "1.0.0";
  crash.what = "start()";
  crash.signal = SIGSEGV;
  return crash;
}

} // namespace

TEST_CASE("two crashes in a row quarantine a plugin; lifting, a changed file or a good run in between do not") {
  const TempDir dir;
  const fs::path file = dir / "bad.so";
  writeFile(file, "code");
  const Quarantine quarantine(dir / "quarantine");
  CHECK(quarantine.refusal("bad", file).empty());

  CHECK_FALSE(quarantine.note(crashOf("bad"), file).quarantined);
  CHECK(quarantine.refusal("bad", file).empty());
  quarantine.forgive();
  CHECK_FALSE(quarantine.note(crashOf("bad"), file).quarantined);
  CHECK_FALSE(quarantine.note(crashOf("other"), file).quarantined);
  CHECK(quarantine.note(crashOf("bad"), file).quarantined);
  const std::string refusal = quarantine.refusal("bad", file);
  CHECK(refusal.find("2 times in a row, the last time with SIGSEGV at address 0x0 in start()") != std::string::npos);
  CHECK(refusal.find("matrixosctl plugins enable bad") != std::string::npos);
  CHECK(refusal.find((dir / "quarantine/bad").string()) != std::string::npos);

  quarantine.forgive();
  CHECK_FALSE(quarantine.find("other"));
  CHECK(quarantine.find("bad")->crashes == 2);
  CHECK_FALSE(quarantine.refusal("bad", file).empty());

  quarantine.lift("bad");
  CHECK(quarantine.refusal("bad", file).empty());
  quarantine.note(crashOf("bad"), file);
  quarantine.note(crashOf("bad"), file);
  CHECK_FALSE(quarantine.refusal("bad", file).empty());
  writeFile(file, "other code");
  CHECK(quarantine.refusal("bad", file).empty());
  CHECK_FALSE(quarantine.find("bad"));

  // A new file has its own two.
  quarantine.note(crashOf("bad"), file);
  writeFile(file, "code of a third kind");
  CHECK_FALSE(quarantine.note(crashOf("bad"), file).quarantined);
}

TEST_CASE("a record that is damaged or is none does no harm") {
  const TempDir dir;
  const Quarantine quarantine(dir / "quarantine");
  fs::create_directories(dir / "quarantine/folder");
  for (const char *text : {"", "{", "[]", "{\"crashes\": \"many\"}", "{\"quarantined\": true}"}) {
    CAPTURE(text);
    writeFile(dir / "quarantine/bad", text);
    CHECK(quarantine.refusal("bad", dir / "bad.so").empty());
    quarantine.forgive();
  }
  writeFile(dir / "outside", R"({"crashes":2,"quarantined":true})");
  CHECK(quarantine.refusal("../outside", dir / "bad.so").empty());
  CHECK(quarantine.refusal("folder", dir / "bad.so").empty());
}

TEST_CASE("the mark of a thread nests and belongs to it alone") {
  const auto *a = PluginScope::tagOf("mark-a", "1.0.0");
  const auto *b = PluginScope::tagOf("mark-b", "2.0.0");
  CHECK(PluginScope::tagOf("mark-a", "1.0.0") == a);
  CHECK(PluginScope::tagOf("mark-b") == b);
  CHECK(std::string(b->version) == "2.0.0");
  CHECK(PluginScope::here().plugin == nullptr);
  {
    const PluginScope outer(a, "start()");
    {
      const PluginScope inner(b, "create()");
      CHECK(PluginScope::here().plugin == b);
      std::thread([] { CHECK(PluginScope::here().plugin == nullptr); }).join();
    }
    CHECK(PluginScope::here().plugin == a);
    CHECK(std::string(PluginScope::here().what) == "start()");
  }
  CHECK(PluginScope::here().plugin == nullptr);
}
