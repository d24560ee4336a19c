// The whole platform where there is no container engine: instances are processes, and outlive the daemon.
#include "support/DaemonProcess.h"
#include "support/Wait.h"

#include <matrixos/host_ports.hpp>
#include <matrixos/process.hpp>

#include <doctest/doctest.h>

#include <filesystem>

using namespace matrixos;
using namespace matrixos::test;

namespace {

DaemonProcess::Values values(const DaemonProcess::Values &more = {}) {
  const int port = freePort();
  DaemonProcess::Values values{
      {"plugins.enabled", "runtime-process, orchestrator, lifecycle, social, proxy"},
      {"orchestrator.runtime", "process"},
      {"orchestrator.gateway_base_port", std::to_string(port)},
      {"orchestrator.shell_base_port", std::to_string(port + 60)},
      {"orchestrator.ports_per_range", "50"},
      {"lifecycle.check_interval", "1s"},
      {"lifecycle.idle_timeout", "1h"},
      {"runtime-process.command", "exec \"" + (buildDir() / "tests/demo-instance").string() + "\""}};
  values.insert(more.begin(), more.end());
  return values;
}

struct Platform {
  DaemonProcess daemon;
  std::string handle = uniqueHandle("proc");
  std::string host = handle + ".localhost";

  explicit Platform(const DaemonProcess::Values &more = {}) : daemon(values(more)) {
    daemon.start();
    const Response made = daemon.api("POST", "/containers/provision",
                                     R"({"handle":")" + handle + R"(","clerkUserId":"user_)" + handle + R"("})");
    REQUIRE_MESSAGE(made.status == 201, made.body, daemon.log());
  }
  ~Platform() {
    if (daemon.running()) daemon.api("DELETE", "/containers/" + handle);
    // Whatever a failed test left.
    const ProcessId left = id();
    endProcess(Call(nullptr), left, std::chrono::milliseconds{0});
  }

  std::string status() const { return member(daemon.api("GET", "/containers/" + handle).body, "status"); }
  std::string info(const std::string &key) const { return member(daemon.web(host, "/api/info").body, key); }
  /// What the runtime wrote down about the one instance there is.
  std::string record(const std::string &key) const {
    for (const auto &entry : std::filesystem::directory_iterator(daemon.dir() / "data/runtime-process")) {
      if (entry.path().extension() == ".json") return member(readFile(entry.path()), key);
    }
    return "";
  }
  ProcessId id() const { return ProcessId::parse(record("token")); }
};

} // namespace

TEST_CASE("an instance that is a process, from its provision to its end") {
  Platform platform;
  DaemonProcess &daemon = platform.daemon;
  CHECK(daemon.log().find("for development and single-tenant hosts") != std::string::npos);
  const Response page = daemon.web(platform.host, "/");
  CHECK(page.status == 200);
  CHECK(page.body.find(platform.handle) != std::string::npos);
  CHECK(platform.info("bootCount") == "1");
  CHECK(request(daemon.proxyPort(), "PUT", "/api/file", {{"Host", platform.host}}, "kept").status / 100 == 2);
  int upgrade = 0;
  CHECK(webSocketEcho(daemon.proxyPort(), platform.host, "/ws", "hello", upgrade) == "hello");

  // Asleep, and woken by a visit.
  const ProcessId first = platform.id();
  CHECK(isProcessAlive(first));
  CHECK(daemon.api("POST", "/containers/" + platform.handle + "/stop").status == 200);
  CHECK(process::signalSession(first, 0) == 0);
  CHECK(platform.status() == "stopped");
  CHECK(daemon.web(platform.host, "/api/file").body.find("kept") != std::string::npos);
  CHECK(platform.info("bootCount") == "2");

  // The daemon is killed: the instance does not notice, and the next daemon finds it.
  const ProcessId second = platform.id();
  CHECK(second.text() != first.text());
  daemon.kill();
  CHECK(isProcessAlive(second));
  daemon.start();
  CHECK(eventually([&] { return platform.status() == "running"; }));
  CHECK(platform.info("bootCount") == "2");
  CHECK(platform.id().text() == second.text());
  // It ends in good order, too.
  CHECK(daemon.stop() == 0);
  CHECK(isProcessAlive(second));
  daemon.start();
  CHECK(platform.info("bootCount") == "2");

  const auto port =
      static_cast<std::uint16_t>(std::stoi(member(daemon.api("GET", "/containers/" + platform.handle).body, "port")));
  CHECK_FALSE(isPortFree("127.0.0.1", port));
  CHECK(daemon.api("DELETE", "/containers/" + platform.handle).status == 200);
  CHECK(process::signalSession(second, 0) == 0);
  CHECK(isPortFree("127.0.0.1", port));
  CHECK(platform.record("ref").empty());
  CHECK_FALSE(std::filesystem::exists(daemon.usersDir() / platform.handle / "matrixos"));
  CHECK_FALSE(std::filesystem::is_empty(daemon.usersDir() / ".trash"));
}

TEST_CASE("an instance proves by its token that it is itself, for as long as it exists") {
  Platform platform(DaemonProcess::Values{{"api.auth", "secret"}, {"runtime-process.sandbox", "none"}});
  DaemonProcess &daemon = platform.daemon;
  const auto variable = [&](const std::string &name) {
    const std::string all = readFile("/proc/" + std::to_string(platform.id().pid) + "/environ");
    const std::size_t at = ('\0' + all).find('\0' + name + "=");
    if (at == std::string::npos) return std::string();
    return std::string(all.c_str() + at + name.size() + 1);
  };
  REQUIRE(eventually([&] { return variable("MATRIX_TOKEN").size() == 47; })); // its shell has made way for it
  const std::string token = variable("MATRIX_TOKEN");
  CHECK(token.substr(0, 4) == "mxi_");
  CHECK(variable("ANTHROPIC_API_KEY") == token);

  const auto ask = [&](const std::string &target, Headers headers) {
    headers.emplace_back("Host", "localhost");
    return request(daemon.apiSocket(), "GET", target, headers).status;
  };
  CHECK(ask("/social/users", {}) == 401);
  CHECK(ask("/social/users", {{"Authorization", "Bearer " + token}}) == 200);
  CHECK(ask("/social/users", {{"X-Api-Key", token}}) == 200);
  CHECK(ask("/social/users", {{"X-Api-Key", token + "x"}}) == 401);
  CHECK(ask("/social/users", {{"X-Api-Key", token}, {"Authorization", "Bearer other"}}) == 401);
  CHECK(ask("/containers", {{"X-Api-Key", token}}) == 403);
  // Nobody else is shown it, not even where it is sent.
  for (const Headers &headers : {Headers{{"Authorization", "Bearer " + token}}, Headers{{"X-Api-Key", token}}}) {
    const Response echo = daemon.web(platform.host, "/api/echo", headers);
    CHECK(echo.status == 200);
    CHECK(echo.body.find(token) == std::string::npos);
  }

  // The daemon keeps no trace of it but what the engine needs to start the instance again.
  std::string traces = daemon.log() + daemon.api("GET", "/containers").body + daemon.api("GET", "/metrics").body;
  for (const auto &entry : std::filesystem::recursive_directory_iterator(daemon.dir() / "data"))
    if (entry.is_regular_file() && entry.path().parent_path().filename() != "runtime-process")
      traces += readFile(entry.path());
  CHECK(traces.find(platform.handle) != std::string::npos);
  CHECK(traces.find(token.substr(4)) == std::string::npos);

  daemon.kill();
  daemon.start();
  CHECK(ask("/social/users", {{"X-Api-Key", token}}) == 200);
  CHECK(daemon.api("DELETE", "/containers/" + platform.handle).status == 200);
  CHECK(ask("/social/users", {{"X-Api-Key", token}}) == 401);
  const Response again =
      daemon.api("POST", "/containers/provision",
                 R"({"handle":")" + platform.handle + R"(","clerkUserId":"user_)" + platform.handle + R"("})");
  REQUIRE_MESSAGE(again.status == 201, again.body);
  REQUIRE(eventually([&] { return variable("MATRIX_TOKEN").size() == 47; }));
  CHECK(variable("MATRIX_TOKEN") != token);
  CHECK(ask("/social/users", {{"X-Api-Key", token}}) == 401);
  CHECK(ask("/social/users", {{"X-Api-Key", variable("MATRIX_TOKEN")}}) == 200);
}

TEST_CASE("an instance that dies is started by the next visit") {
  Platform platform;
  DaemonProcess &daemon = platform.daemon;
  REQUIRE(eventually([&] { return daemon.web(platform.host, "/api/info").status == 200; }));
  const ProcessId first = platform.id();
  process::signalSession(first, SIGKILL);
  CHECK(eventually([&] { return platform.status() == "stopped"; }));
  CHECK(platform.info("bootCount") == "2");
  CHECK(platform.id().text() != first.text());
}

TEST_CASE("in a process of its own: it dies, the instance does not") {
  Platform platform(DaemonProcess::Values{{"runtime-process.isolation", "process"}});
  DaemonProcess &daemon = platform.daemon;
  CHECK(platform.info("bootCount") == "1");
  const ProcessId instance = platform.id();
  const auto helper = [&] {
    const Finished found = run({"pgrep", "-P", std::to_string(daemon.process().pid()), "-f", "matrixos-plugin-host"});
    return found.status == 0 ? static_cast<pid_t>(std::stol(found.out)) : 0;
  };
  const pid_t before = helper();
  REQUIRE(before > 0);
  ::kill(before, SIGKILL);
  CHECK(eventually([&] { return helper() > 0 && helper() != before; }));
  CHECK(isProcessAlive(instance));
  CHECK(eventually([&] { return platform.info("bootCount") == "1"; }));
  CHECK(platform.id().text() == instance.text());
  CHECK(eventually([&] { return daemon.api("POST", "/containers/" + platform.handle + "/stop").status == 200; }));
  CHECK(process::signalSession(instance, 0) == 0);
  CHECK(platform.info("bootCount") == "2");
}

TEST_CASE("a host port that another program took is passed over") {
  DaemonProcess::Values chosen = values();
  DaemonProcess daemon(chosen);
  daemon.start();
  // The first port of the range: somebody listens there.
  const auto first = static_cast<std::uint16_t>(std::stoi(chosen.at("orchestrator.gateway_base_port")));
  const LoopbackPort taken(first);
  taken.listen();
  const std::string handle = uniqueHandle("port");
  const Response made = daemon.api("POST", "/containers/provision",
                                   R"({"handle":")" + handle + R"(","clerkUserId":"user_)" + handle + R"("})");
  CHECK_MESSAGE(made.status == 201, made.body, daemon.log());
  CHECK(member(made.body, "port") != std::to_string(first));
  CHECK(daemon.web(handle + ".localhost", "/").status == 200);
  CHECK(daemon.api("DELETE", "/containers/" + handle).status == 200);
}
