// A real browser before a sleeping instance.
#include "EchoInstance.h"
#include "EdgePlatform.h"

#include <matrixos/json_text.hpp>

#include <browser/ChromiumScript.h>
#include <doctest/doctest.h>
#include <support/Process.h>
#include <support/Wait.h>

#include <string>

using namespace matrixos;
using namespace matrixos::test;

TEST_CASE("the waiting page ends in the instance's own page by itself, with and without JavaScript") {
  bool javaScript = true;
  SUBCASE("with") {}
  SUBCASE("without") {
    javaScript = false;
  }
  EchoInstance instance(false);
  EdgePlatform platform({{"fixed-instances.sleeping", "alice:" + std::to_string(instance.port())},
                         {"proxy.waiting_page_after", "100ms"}});
  JsonObject given;
  given.add("url", "http://alice.localhost:" + std::to_string(platform.daemon.proxyPort()) + "/");
  given.add("javaScript", javaScript);
  const auto script = chromiumScript(EDGE_SCRIPTS "/waiting-page.mjs", std::move(given).str());
  if (!script) return;
  const TempDir dir;
  Process browser(*script, dir / "shown");
  const auto pages = [&] {
    return metric(platform.daemon, "matrixos_proxy_requests_total{route=\"shell\",status=\"5xx\"}");
  };
  REQUIRE(eventually([&] { return pages() >= 3 || !browser.running(); }, std::chrono::seconds{90}));
  CHECK(browser.running());
  CHECK(instance.answered() == 0);
  instance.open();
  REQUIRE(browser.wait(std::chrono::seconds{120}) == 0);
  const std::string shown = readFile(dir / "shown");
  INFO(shown);
  CHECK(shown.find(" for alice.localhost") != std::string::npos);
  CHECK(shown.find("is waking up") == std::string::npos);
}
