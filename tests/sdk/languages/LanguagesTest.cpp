/// Runtimes built by gcc, by clang with libc++, in C and in Rust, in one daemon at the same time: each passes the core
/// part of the conformance kit, through the host's proxies.
#include "support/DaemonProcess.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

using namespace matrixos::test;

namespace {

struct Language {
  std::string name;
  std::string plugin;
  std::string instance;
};

const std::vector<Language> kLanguages{{"C", "runtime-c", "c"},
                                       {"Rust", "runtime-rust", "rust"},
                                       {"C++ by gcc", "runtime-gcc", "runtime-gcc"},
                                       {"C++ by clang, with libc++", "runtime-libcxx", "runtime-libcxx"}};

std::filesystem::path pluginDir() {
  return buildDir() / "test-plugins";
}

/// Those whose compiler this machine has; with CI=true all of them. Sanitizers know the compiler of this build alone.
std::vector<Language> built() {
#ifdef MATRIXOS_INSTRUMENTED
  const bool all = false;
#else
  const char *ci = std::getenv("CI");
  const bool all = ci != nullptr && std::string(ci) == "true";
#endif
  std::vector<Language> there;
  for (const Language &language : kLanguages) {
    const bool exists = std::filesystem::exists(pluginDir() / (language.plugin + ".so"));
    if (exists || all) there.push_back(language);
    if (!exists) MESSAGE("there is no ", language.plugin, ".so: its compiler was not found");
  }
  return there;
}

std::string words(const nlohmann::json &one) {
  return one.value("id", "") + ": expected " + one.value("expected", "") + ", came " + one.value("got", "");
}

} // namespace

TEST_CASE("runtimes of four languages pass the kit's core part in one daemon") {
  const std::vector<Language> languages = built();
  REQUIRE(languages.size() >= 2);
  std::string enabled = "conformance-probe";
  for (const Language &language : languages)
    enabled += ", " + language.plugin;
  DaemonProcess daemon(
      {{"plugins.path", pluginDir().string()}, {"plugins.enabled", enabled}, {"plugins.required", enabled}});
  daemon.start();
  for (const Language &language : languages) {
    CAPTURE(language.name);
    const Response answer = daemon.api("POST", "/conformance/" + language.instance);
    REQUIRE_MESSAGE(answer.status == 200, answer.body);
    const nlohmann::json report = nlohmann::json::parse(answer.body);
    MESSAGE(language.name, ": ", report["summary"]["text"].get<std::string>());
    for (const nlohmann::json &one : report["cases"])
      CHECK_MESSAGE(one["result"] == "pass", words(one));
    CHECK(report["cases"].size() >= 40);
  }
  CHECK(daemon.running());
  CHECK(daemon.stop() == 0);
}

TEST_CASE("a runtime that nobody provides is no success") {
  DaemonProcess daemon({{"plugins.path", pluginDir().string()}, {"plugins.enabled", "conformance-probe, runtime-c"}});
  daemon.start();
  const Response answer = daemon.api("POST", "/conformance/nobody");
  REQUIRE_MESSAGE(answer.status == 200, answer.body);
  CHECK(nlohmann::json::parse(answer.body)["summary"]["passed"].get<int>() == 0);
}
