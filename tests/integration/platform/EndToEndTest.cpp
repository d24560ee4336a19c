// The whole platform on a real engine: what an operator and a visitor see from sign-up to removal.
#include "Engine.h"
#include "support/DaemonProcess.h"
#include "support/Wait.h"

#include <doctest/doctest.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <set>
#include <thread>

using namespace matrixos;
using namespace matrixos::test;

namespace {

std::string provisionBody(const std::string &handle) {
  return R"({"handle":")" + handle + R"(","clerkUserId":"user_)" + handle + R"("})";
}

std::string statusOf(const DaemonProcess &daemon, const std::string &handle) {
  return member(daemon.api("GET", "/containers/" + handle).body, "status");
}

std::string joinLines(const std::vector<std::string> &lines) {
  std::string text;
  for (const std::string &line : lines)
    text += line + "\n";
  return text;
}

/// Whether that instance is reached at a port of this machine, which may be another daemon's by now.
bool answersAt(std::uint16_t port, const std::string &handle) {
  try {
    return request(port, "GET", "/").body.find(handle) != std::string::npos;
  } catch (const std::exception &) {
    return false;
  }
}

void followOneInstance(DaemonProcess &daemon) {
  const std::string handle = uniqueHandle("e2e");
  const std::string host = handle + ".localhost";

  const Response made = daemon.api("POST", "/containers/provision", provisionBody(handle));
  INFO(made.body);
  REQUIRE(made.status == 201);
  CHECK(member(made.body, "status") == "running");
  const auto port = static_cast<std::uint16_t>(std::stoi(member(made.body, "shellPort")));
  CHECK(eventually([&] { return answersAt(port, handle); }));
  CHECK(inspect(handle, "{{.State.Running}}") == "true");

  // The page, through the Host and through the path.
  const Response page = daemon.web(host, "/");
  CHECK(page.status == 200);
  CHECK(page.headers.at("content-type").find("text/html") == 0);
  CHECK(page.body.find(handle) != std::string::npos);
  CHECK(daemon.web(handle + ".matrix-os.com", "/").status == 200);
  CHECK(daemon.web("localhost", "/proxy/" + handle + "/").body.find(handle) != std::string::npos);

  // The gateway's API; path and query arrive as they were sent.
  CHECK(member(daemon.web(host, "/api/info").body, "handle") == handle);
  const Response echo = daemon.web("localhost", "/proxy/" + handle + "/api/echo/a%20b?x=1&y=%2F");
  CHECK(echo.body.find("x=1&y=%2F") != std::string::npos);

  int status = 0;
  CHECK(webSocketEcho(daemon.proxyPort(), host, "/shell-ws", "shell says hi", status) == "shell says hi");
  CHECK(status == 101);
  CHECK(webSocketEcho(daemon.proxyPort(), host, "/ws", "gateway says hi", status) == "gateway says hi");
  CHECK(status == 101);

  // Something in the volume, then asleep, then woken by a visit.
  CHECK(request(daemon.proxyPort(), "PUT", "/api/file", {{"Host", host}}, "kept across sleep").status / 100 == 2);
  CHECK(daemon.api("POST", "/containers/" + handle + "/stop").status == 200);
  CHECK(statusOf(daemon, handle) == "stopped");
  CHECK(inspect(handle, "{{.State.Running}}") == "false");
  const Response woken = daemon.web(host, "/api/file");
  CHECK(woken.status == 200);
  CHECK(woken.body.find("kept across sleep") != std::string::npos);
  CHECK(statusOf(daemon, handle) == "running");
  CHECK(member(daemon.web(host, "/api/info").body, "bootCount") == "2");

  // A short idle timeout, by reload, puts it to sleep.
  daemon.rewriteConfig({{"lifecycle.idle_timeout", "2s"}});
  CHECK(daemon.ctl({"reload"}).status == 0);
  CHECK(eventually([&] { return statusOf(daemon, handle) == "stopped"; }, std::chrono::seconds{60}));
  CHECK(eventually([&] { return inspect(handle, "{{.State.Running}}") == "false"; }));

  const Response destroyed = daemon.api("DELETE", "/containers/" + handle);
  CHECK(destroyed.status == 200);
  CHECK(member(destroyed.body, "ok") == "true");
  CHECK(daemon.api("GET", "/containers/" + handle).status == 404);
  CHECK_FALSE(containerExists(handle));
  CHECK_FALSE(answersAt(port, handle));
  CHECK_FALSE(std::filesystem::exists(daemon.usersDir() / handle / "matrixos"));
  CHECK(daemon.web(host, "/").status == 404);
  const auto trash = daemon.usersDir() / ".trash";
  CHECK(std::filesystem::exists(trash));
  CHECK(daemon.stop() == 0);
  CHECK(run({"sqlite3", (daemon.dir() / "data/matrixos.db").string(),
             "select (select count(*) from containers) + (select count(*) from port_assignments)"})
            .out == "0\n");
}

} // namespace

TEST_CASE("an instance from its provision to its end" * doctest::skip(!engineAnswers())) {
  DaemonProcess daemon({{"lifecycle.check_interval", "1s"}, {"lifecycle.idle_timeout", "1h"}});
  daemon.start();
  followOneInstance(daemon);
}

TEST_CASE("the same with the runtime in a process of its own" * doctest::skip(!engineAnswers())) {
  DaemonProcess daemon(
      {{"lifecycle.check_interval", "1s"}, {"lifecycle.idle_timeout", "1h"}, {"runtime-docker.isolation", "process"}});
  daemon.start();
  followOneInstance(daemon);
}

TEST_CASE("the container is configured as the platform promises" * doctest::skip(!engineAnswers())) {
  DaemonProcess daemon;
  daemon.start();
  const std::string handle = uniqueHandle("cfg");
  const Response made = daemon.api("POST", "/containers/provision", provisionBody(handle));
  REQUIRE(made.status == 201);
  const std::string port = member(made.body, "port"), shellPort = member(made.body, "shellPort");

  CHECK(inspect(handle, "{{.Config.Image}}") == "matrixos-demo:latest");
  CHECK(inspect(handle, "{{.HostConfig.NetworkMode}}") == "matrixos-test");
  CHECK(docker({"network", "inspect", "--format", "{{.Driver}}", "matrixos-test"}) == "bridge");
  CHECK(inspect(handle, "{{.HostConfig.Memory}}") == "268435456");
  CHECK(inspect(handle, "{{.HostConfig.NanoCpus}}") == "500000000");
  CHECK(inspect(handle, "{{.HostConfig.RestartPolicy.Name}}") == "unless-stopped");
  CHECK(inspect(handle, "{{range .Mounts}}{{.Source}}:{{.Destination}}:{{.RW}}{{end}}") ==
        (daemon.usersDir() / handle / "matrixos").string() + ":/home/matrixos/home:true");
  const std::string env = inspect(handle, "{{range .Config.Env}}{{.}};{{end}}");
  for (const std::string &pair :
       {"MATRIX_HANDLE=" + handle, std::string("PROXY_URL=http://proxy:8080"),
        std::string("ANTHROPIC_BASE_URL=http://proxy:8080"), std::string("PORT=4000"), std::string("SHELL_PORT=3000"),
        "GATEWAY_EXTERNAL_URL=https://" + handle + ".matrix-os.com"}) {
    CAPTURE(env);
    CHECK(env.find(pair + ";") != std::string::npos);
  }
  const std::string token = env.substr(env.find("MATRIX_TOKEN=mxi_") + 13, 47);
  CHECK(token.find(';') == std::string::npos);
  CHECK(env.find("ANTHROPIC_API_KEY=" + token + ";") != std::string::npos);
  CHECK(
      inspect(
          handle,
          R"({{range $p, $b := .HostConfig.PortBindings}}{{$p}}={{range $b}}{{.HostIp}}:{{.HostPort}}{{end}};{{end}})") ==
      "3000/tcp=127.0.0.1:" + shellPort + ";4000/tcp=127.0.0.1:" + port + ";");
  CHECK(inspect(handle, "{{.HostConfig.ExtraHosts}}") == "[proxy:host-gateway]");
  CHECK(inspect(handle, "{{.HostConfig.Privileged}}") == "false");
  CHECK(std::stoi(port) >= 4001);
  CHECK(std::stoi(shellPort) >= 3001);
  CHECK(std::stoi(shellPort) < 4001);
  CHECK(daemon.api("DELETE", "/containers/" + handle).status == 200);
}

TEST_CASE("fifty people sign up at once" * doctest::skip(!engineAnswers())) {
  DaemonProcess daemon;
  daemon.start();
  const std::string prefix = uniqueHandle("many");
  std::vector<std::thread> people;
  std::vector<Response> answers(50);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    people.emplace_back([&, i] {
      answers[i] = daemon.api("POST", "/containers/provision", provisionBody(prefix + std::to_string(i)));
    });
  }
  for (auto &person : people)
    person.join();
  for (const Response &answer : answers)
    CHECK_MESSAGE(answer.status == 201, answer.body, daemon.log());

  const auto list = json::parse(daemon.api("GET", "/containers").body).extract<json::Array::Ptr>();
  CHECK(list->size() == 50);
  std::set<std::string> ports;
  for (unsigned i = 0; i < list->size(); ++i) {
    const auto instance = list->getObject(i);
    ports.insert(instance->getValue<std::string>("port"));
    ports.insert(instance->getValue<std::string>("shellPort"));
    CHECK(instance->getValue<std::string>("status") == "running");
  }
  CHECK(ports.size() == 100);
  CHECK(docker({"ps", "-q", "--filter", "name=matrixos-" + prefix}).size() == 50 * 13 - 1);

  std::vector<std::thread> removers;
  for (std::size_t t = 0; t < 10; ++t) {
    removers.emplace_back([&, t] {
      for (std::size_t i = t; i < 50; i += 10)
        daemon.api("DELETE", "/containers/" + prefix + std::to_string(i));
    });
  }
  for (auto &remover : removers)
    remover.join();
  CHECK(docker({"ps", "-aq", "--filter", "name=matrixos-" + prefix}).empty());
  CHECK(daemon.api("GET", "/containers").body == "[]");
}

TEST_CASE("the same sign-up fifty times is one instance" * doctest::skip(!engineAnswers())) {
  DaemonProcess daemon;
  daemon.start();
  const std::string handle = uniqueHandle("same");
  std::vector<std::thread> calls;
  std::vector<Response> answers(50);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    calls.emplace_back([&, i] { answers[i] = daemon.api("POST", "/containers/provision", provisionBody(handle)); });
  }
  for (auto &call : calls)
    call.join();
  int created = 0;
  std::set<std::string> ids;
  for (const Response &answer : answers) {
    INFO(answer.body);
    CHECK((answer.status == 201 || answer.status == 200));
    created += answer.status == 201 ? 1 : 0;
    ids.insert(member(answer.body, "id"));
  }
  CHECK(created == 1);
  CHECK(ids.size() == 1);
  CHECK(docker({"ps", "-aq", "--filter", "name=^matrixos-" + handle + "$"}).size() == 12);
  CHECK(daemon.api("DELETE", "/containers/" + handle).status == 200);
}

TEST_CASE("many visitors of a sleeping instance start it once" * doctest::skip(!engineAnswers())) {
  DaemonProcess daemon;
  daemon.start();
  const std::string handle = uniqueHandle("wake");
  REQUIRE(daemon.api("POST", "/containers/provision", provisionBody(handle)).status == 201);
  REQUIRE(eventually([&] { return daemon.web(handle + ".localhost", "/api/info").status == 200; }));
  REQUIRE(daemon.api("POST", "/containers/" + handle + "/stop").status == 200);
  std::vector<std::thread> visitors;
  std::vector<int> statuses(40);
  for (std::size_t i = 0; i < statuses.size(); ++i) {
    visitors.emplace_back([&, i] { statuses[i] = daemon.web(handle + ".localhost", "/api/info").status; });
  }
  for (auto &visitor : visitors)
    visitor.join();
  for (const int status : statuses)
    CHECK(status == 200);
  CHECK(member(daemon.web(handle + ".localhost", "/api/info").body, "bootCount") == "2");
  CHECK(daemon.api("DELETE", "/containers/" + handle).status == 200);
}

TEST_CASE("visitors wait while the engine restarts an instance, or starts it again after it was killed" *
          doctest::skip(!engineAnswers())) {
  DaemonProcess daemon;
  daemon.start();
  const std::string handle = uniqueHandle("again");
  REQUIRE(daemon.api("POST", "/containers/provision", provisionBody(handle)).status == 201);
  const auto visit = [&] {
    return request(daemon.proxyPort(), "PUT", "/api/file", {{"Host", handle + ".localhost"}}, "x");
  };
  const auto served = [](const Response &answer) { return answer.status / 100 == 2; };
  REQUIRE(eventually([&] { return served(visit()); }));
  const auto restarted = [&](const std::function<void()> &end) {
    const std::string before = inspect(handle, "{{.State.StartedAt}}");
    std::atomic<bool> done{false};
    std::thread engine([&] {
      end();
      eventually([&] { return inspect(handle, "{{.State.Running}} {{.State.StartedAt}}") > "true " + before; });
      done = true;
    });
    // What is in the program's hands when it ends, or in its queue as it closes that, is lost: it may not be sent
    // twice. None is refused.
    std::vector<std::string> lost;
    while (!done) {
      const Response answer = visit();
      if (!served(answer)) lost.push_back(std::to_string(answer.status) + " " + answer.body);
    }
    engine.join();
    INFO(joinLines(lost));
    CHECK(lost.size() <= 2);
    CHECK(served(visit()));
  };
  restarted([&] { docker({"restart", "-t", "1", "matrixos-" + handle}); });
  restarted([&] { ::kill(std::stoi(inspect(handle, "{{.State.Pid}}")), SIGKILL); });
  CHECK(daemon.api("DELETE", "/containers/" + handle).status == 200);
}
