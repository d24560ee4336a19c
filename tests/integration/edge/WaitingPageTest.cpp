// A real browser before a sleeping instance.
#include "EchoInstance.h"
#include "EdgePlatform.h"

#include <doctest/doctest.h>
#include <support/Process.h>
#include <support/Wait.h>

#include <cstdlib>
#include <filesystem>
#include <string>

using namespace matrixos::test;

namespace {

constexpr const char *kBrowser = "/usr/bin/chromium";

bool browserIsHere() {
  if (std::filesystem::exists(kBrowser)) return true;
  const char *ci = std::getenv("CI");
  CHECK_MESSAGE((ci == nullptr || std::string(ci) != "true"), "no Chromium, and CI=true makes that a failure");
  MESSAGE("skipped: there is no " << kBrowser);
  return false;
}

} // namespace

TEST_CASE("the waiting page ends in the instance's own page by itself, with and without JavaScript") {
  if (!browserIsHere()) return;
  std::string javascript; // a content setting: allowed, blocked
  SUBCASE("with") {
    javascript = "1";
  }
  SUBCASE("without") {
    javascript = "2";
  }
  EchoInstance instance(false);
  EdgePlatform platform({{"fixed-instances.sleeping", "alice:" + std::to_string(instance.port())},
                         {"proxy.waiting_page_after", "100ms"}});
  const TempDir profile;
  const auto dom = profile / "dom";
  std::filesystem::create_directories(profile / "data/Default");
  writeFile(profile / "data/Default/Preferences",
            R"({"profile":{"default_content_setting_values":{"javascript":)" + javascript + "}}}");
  // Prints what it shows once nothing more happens: its time stands still while it waits for an answer.
  Process browser({kBrowser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                   "--user-data-dir=" + (profile / "data").string(), "--virtual-time-budget=10000", "--dump-dom",
                   "http://alice.localhost:" + std::to_string(platform.daemon.proxyPort()) + "/"},
                  dom);
  const auto pages = [&] {
    return metric(platform.daemon, "matrixos_proxy_requests_total{route=\"shell\",status=\"5xx\"}");
  };
  REQUIRE(eventually([&] { return pages() >= 3 || !browser.running(); }, std::chrono::seconds{90}));
  CHECK(browser.running());
  CHECK(instance.answered() == 0);
  instance.open();
  REQUIRE(browser.wait(std::chrono::seconds{120}) == 0);
  const std::string shown = readFile(dom);
  INFO(shown);
  CHECK(shown.find(" for alice.localhost") != std::string::npos);
  CHECK(shown.find("is waking up") == std::string::npos);
}
