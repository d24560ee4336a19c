#include "ctl/NewPlugin.h"

#include "ctl/DaemonClient.h"
#include "support/Process.h"
#include "support/TempDir.h"

#include <doctest/doctest.h>
#include <unistd.h>

using namespace matrixos::ctl;
using matrixos::test::readFile;
using matrixos::test::run;
using matrixos::test::TempDir;
using matrixos::test::writeFile;
namespace fs = std::filesystem;

namespace {

void makeTemplate(const fs::path &folder) {
  fs::create_directories(folder / "test");
  fs::create_directories(folder / "build");
  writeFile(folder / "CMakeLists.txt", "project(runtime-template)\nmatrixos_add_plugin(runtime-template)\n");
  writeFile(folder / "runtime.cpp", "template <class T> class TemplateRuntime {}; // \"Template\", MyTemplate\n");
  writeFile(folder / "test/runtime-template.ini", "[runtime-template]\n");
  writeFile(folder / "test/check.sh", "#!/bin/sh\n");
  writeFile(folder / "build/left-over", "x");
  writeFile(folder / "runtime-template.h",
            "#define RUNTIME_TEMPLATE_1 \"example.runtime-template/1\"\nint runtime_template;\n");
  fs::permissions(folder / "test/check.sh", fs::perms::owner_exec, fs::perm_options::add);
}

const PluginKind &kRuntime = pluginKinds().front();

std::string runtimeId(const std::string &name) {
  return newPluginId(kRuntime, name);
}

/// The first words of what was thrown; "" when nothing was.
template <typename Thrown, typename Action>
std::string thrown(Action action) {
  try {
    action();
  } catch (const Thrown &e) {
    return e.what();
  }
  return "";
}

} // namespace

TEST_CASE("a runtime's id is made from its name, or the name is refused") {
  CHECK(runtimeId("firefly") == "runtime-firefly");
  CHECK(runtimeId("runtime-firefly") == "runtime-firefly");
  CHECK(runtimeId("fire-fly2") == "runtime-fire-fly2");
  for (const char *bad : {"", "runtime-", "Firefly", "fire_fly", "fire fly", "../x", "-x", "x-", "a--b", "9p", "é"}) {
    CAPTURE(bad);
    CHECK(thrown<UsageError>([&] { runtimeId(bad); }).find("cannot name a runtime") != std::string::npos);
  }
  CHECK(thrown<UsageError>([] { runtimeId(std::string(41, 'a')); }).find("too long") != std::string::npos);
  CHECK_NOTHROW(runtimeId(std::string(40, 'a')));
}

TEST_CASE("other kinds have no prefix, and a kind that there is not is refused with those there are") {
  const PluginKind &policy = pluginKind("policy");
  CHECK(newPluginId(policy, "doorman") == "doorman");
  CHECK(newPluginId(policy, "runtime-x") == "runtime-x");
  for (const char *bad : {"", "Doorman", "door_man", "../x", "-x", "x-", "a--b", "9p", "a/b", "a.so"}) {
    CAPTURE(bad);
    CHECK(thrown<UsageError>([&] { newPluginId(policy, bad); }).find("cannot name a plugin") != std::string::npos);
  }
  CHECK(thrown<UsageError>([&] { newPluginId(policy, std::string(49, 'a')); }).find("too long") != std::string::npos);
  CHECK(thrown<UsageError>([] { pluginKind("nonsense"); }) ==
        "there is no kind \"nonsense\" of plugins; --kind takes runtime|service|policy|routes");
}

TEST_CASE("the template is copied under the new name, in texts, types and files") {
  const TempDir dir;
  makeTemplate(dir / "templates/runtime");
  copyTemplate(dir / "templates", kRuntime, "runtime-fire-fly", dir / "mine");
  CHECK(readFile(dir / "mine/CMakeLists.txt") == "project(runtime-fire-fly)\nmatrixos_add_plugin(runtime-fire-fly)\n");
  CHECK(readFile(dir / "mine/runtime.cpp") ==
        "template <class T> class FireFlyRuntime {}; // \"FireFly\", MyTemplate\n");
  CHECK(readFile(dir / "mine/runtime-fire-fly.h") ==
        "#define RUNTIME_FIRE_FLY_1 \"example.runtime-fire-fly/1\"\nint runtime_fire_fly;\n");
  CHECK(readFile(dir / "mine/test/runtime-fire-fly.ini") == "[runtime-fire-fly]\n");
  CHECK(::access((dir / "mine/test/check.sh").c_str(), X_OK) == 0);
  CHECK_FALSE(fs::exists(dir / "mine/build"));
  CHECK(std::distance(fs::directory_iterator(dir.path()), {}) == 2); // nothing half-made beside it
}

TEST_CASE("what is there is never touched") {
  const TempDir dir;
  makeTemplate(dir / "templates/runtime");
  fs::create_directory(dir / "mine");
  writeFile(dir / "mine/work", "of weeks");
  fs::create_symlink("nowhere", dir / "dangling");
  for (const char *name : {"mine", "dangling"}) {
    CHECK(thrown<Failure>([&] { copyTemplate(dir / "templates", kRuntime, "runtime-x", dir / name); }).find("exists") !=
          std::string::npos);
  }
  CHECK(readFile(dir / "mine/work") == "of weeks");
  fs::create_directory(dir / "empty");
  copyTemplate(dir / "templates", kRuntime, "runtime-x", dir / "empty");
  CHECK(fs::exists(dir / "empty/CMakeLists.txt"));
}

TEST_CASE("a copy that fails leaves nothing behind") {
  const TempDir dir;
  makeTemplate(dir / "templates/runtime");
  writeFile(dir / "file", "");
  CHECK(thrown<Failure>([&] { copyTemplate(dir / "templates", kRuntime, "runtime-x", dir / "file/mine"); }) != "");
  fs::remove_all(dir / "templates");
  CHECK(thrown<Failure>([&] { copyTemplate(dir / "templates", kRuntime, "runtime-x", dir / "mine"); }) != "");
  CHECK(std::distance(fs::directory_iterator(dir.path()), {}) == 1);
}

TEST_CASE("the templates are found where the program was installed or built, or the way to get them is told") {
  const TempDir dir;
  fs::create_directories(dir / "prefix/share/matrixos/sdk/templates");
  fs::create_directories(dir / "tree/sdk/templates");
  CHECK(findTemplates(dir / "prefix/bin/matrixosctl") == dir / "prefix/share/matrixos/sdk/templates");
  CHECK(findTemplates(dir / "tree/build/dev/bin/matrixosctl") == dir / "tree/sdk/templates");
  const std::string advice = thrown<Failure>([&] { findTemplates(dir / "other/bin/matrixosctl"); });
  CHECK(advice.find("apt install matrixos-dev") != std::string::npos);
}
