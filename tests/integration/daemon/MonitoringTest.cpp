// What balancers and monitoring see of the daemon.
#include "support/DaemonProcess.h"
#include "support/Wait.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <ctime>
#include <optional>
#include <string>

using namespace matrixos::test;
namespace fs = std::filesystem;

namespace {

/// A daemon with one small plugin, a secret that counts, and a token for the metrics.
class Watched {
public:
  Watched() {
    tokenIs("first-token", 0600);
    daemon.emplace(DaemonProcess::Values{{"plugins.path", (buildDir() / "test-plugins").string()},
                                         {"plugins.enabled", "fake-good"},
                                         {"api.auth", "secret"},
                                         {"metrics.token_file", token().string()}});
  }

  fs::path token() const { return dir_ / "token"; }
  void tokenIs(const std::string &word, mode_t mode) const {
    writeFile(token(), word + "\n");
    ::chmod(token().c_str(), mode);
  }
  Response ask(const std::string &target, const std::string &word = {}) const {
    const Headers headers = word.empty() ? Headers{} : Headers{{"Authorization", "Bearer " + word}};
    return request(daemon->apiSocket(), "GET", target, headers);
  }
  std::string metrics() const { return daemon->api("GET", "/metrics").body; }
  /// The value of a series, as text; "" when there is none.
  std::string metric(const std::string &series) const {
    const std::string text = "\n" + metrics();
    const std::size_t at = text.find("\n" + series + " ");
    if (at == std::string::npos) return {};
    const std::size_t from = at + series.size() + 2;
    return text.substr(from, text.find('\n', from) - from);
  }

  std::optional<DaemonProcess> daemon;

private:
  TempDir dir_;
};

} // namespace

TEST_CASE("/ready tells everybody whether, and those who hold the secret why") {
  Watched test;
  test.daemon->start();
  CHECK(test.ask("/ready").status == 200);
  CHECK(test.ask("/ready").body == R"({"status":"ready"})");
  CHECK(test.ask("/ready", "first-token").body == R"({"status":"ready"})");
  CHECK(test.ask("/ready", "wrong").body == R"({"status":"ready"})");
  std::string secret = readFile(test.daemon->dir() / "data/admin.secret");
  secret.pop_back();
  CHECK(test.ask("/ready", secret).body.find("fake-good") != std::string::npos);
  CHECK(test.daemon->api("GET", "/ready").body.find("fake-good") != std::string::npos);
  REQUIRE(fs::remove(test.daemon->dir() / "data/matrixos.db"));
  CHECK(test.ask("/ready").status == 503);
  CHECK(test.ask("/ready").body == R"({"status":"not ready"})");
}

TEST_CASE("the token of the metrics opens them and nothing else, and is read again at a reload") {
  Watched test;
  test.daemon->start();
  CHECK(test.ask("/metrics").status == 401);
  CHECK(test.ask("/metrics", "wrong").status == 401);
  CHECK(test.ask("/metrics", "first-token").status == 200);
  for (const char *target : {"/status", "/config", "/routes", "/plugins"}) {
    CAPTURE(target);
    CHECK(test.ask(target, "first-token").status == 401);
  }
  test.tokenIs("second-token", 0600);
  CHECK(test.daemon->ctl({"reload"}).status == 0);
  CHECK(test.ask("/metrics", "first-token").status == 401);
  CHECK(test.ask("/metrics", "second-token").status == 200);
  CHECK(test.daemon->log().find("second-token") == std::string::npos);

  test.tokenIs("third-token", 0644);
  CHECK(test.daemon->ctl({"reload"}).status != 0);
  CHECK(test.ask("/metrics", "third-token").status == 401);
  CHECK(test.ask("/metrics", "second-token").status == 200);
  CHECK(test.daemon->stop() == 0);
  test.daemon->launch();
  CHECK(test.daemon->process().wait(std::chrono::seconds{30}) == 78);
  CHECK(test.daemon->log().find(test.token().string() + " is open to other users") != std::string::npos);
}

TEST_CASE("the daemon's own metrics are there from the first look") {
  Watched test;
  test.daemon->start();
  const std::string all = test.metrics();
  CHECK(all.find("\nmatrixos_build_info{version=\"") != std::string::npos);
  CHECK(test.metric(R"(matrixos_plugin_state{plugin="fake-good",state="running"})") == "1");
  CHECK(test.metric(R"(matrixos_plugin_state{plugin="fake-good",state="failed"})") == "0");
  for (const char *counter : {"crashes", "calls_abandoned", "stray_answers", "exceptions", "blocked"}) {
    CAPTURE(counter);
    CHECK(test.metric("matrixos_plugin_" + std::string(counter) + R"(_total{plugin="fake-good"})") == "0");
  }
  CHECK(test.metric(R"(matrixos_api_requests_total{method="GET",route="/status",status="500"})") == "0");
  CHECK(std::stod(test.metric("matrixos_database_size_bytes")) > 0);
  CHECK(std::stod(test.metric("matrixos_data_dir_free_bytes")) > 0);
  CHECK(test.metric("matrixos_config_last_reload_successful") == "1");
  const double loaded = std::stod(test.metric("matrixos_config_last_reload_success_timestamp_seconds"));
  CHECK(std::abs(loaded - static_cast<double>(std::time(nullptr))) < 3600);

  test.daemon->rewriteConfig({{"log.level", "nonsense"}});
  CHECK(test.daemon->ctl({"reload"}).status != 0);
  CHECK(test.metric("matrixos_config_last_reload_successful") == "0");
  CHECK(std::stod(test.metric("matrixos_config_last_reload_success_timestamp_seconds")) == loaded);
  test.daemon->rewriteConfig({{"log.level", "info"}});
  CHECK(test.daemon->ctl({"reload"}).status == 0);
  CHECK(test.metric("matrixos_config_last_reload_successful") == "1");
  CHECK(test.daemon->ctl({"plugins", "disable", "fake-good"}).status == 0);
  CHECK(test.metric(R"(matrixos_plugin_state{plugin="fake-good",state="disabled"})") == "1");
  CHECK(test.metric(R"(matrixos_plugin_state{plugin="fake-good",state="running"})") == "0");
}

TEST_CASE("limits: who comes too often is told, counted and logged, and a reload changes them") {
  Watched test;
  test.daemon->rewriteConfig({{"api.limit_address", "3/1d"}});
  test.daemon->start();
  // Nobody but the daemon's own proxy says where a client is.
  for (const char *address : {"203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"}) {
    const Response answer = request(test.daemon->apiSocket(), "GET", "/nothing", {{"X-Forwarded-For", address}});
    CHECK(answer.status == (address[10] == '4' ? 429 : 404));
  }
  CHECK(test.ask("/ready").status == 200);
  CHECK(test.ask("/metrics", "first-token").status == 200);
  CHECK(test.daemon->api("GET", "/status").status == 200);
  CHECK(test.metric(R"(matrixos_api_limited_total{limit="address"})") == "1");
  for (const char *limit : {"principal", "writes", "sign_in", "webhooks"})
    CHECK(test.metric(R"(matrixos_api_limited_total{limit=")" + std::string(limit) + "\"}") == "0");
  CHECK(test.daemon->log().find("requests beyond a limit were refused") != std::string::npos);

  test.daemon->rewriteConfig({{"api.limit_address", "0"}});
  CHECK(test.daemon->ctl({"reload"}).out.find("[api] limit_address: 3/1d → 0") != std::string::npos);
  for (int i = 0; i < 5; ++i)
    CHECK(test.ask("/nothing").status == 404);
}
