#include "unit/config/Fixture.h"

#include <doctest/doctest.h>

using namespace matrixos::config;
using namespace matrixos::config::test;
using Problems = std::vector<std::string>;

TEST_CASE("an API without a secret is fine while only this machine can connect") {
  CHECK(problemsOf("[api]\nauth = none\n").empty());
  CHECK(problemsOf("[api]\nauth = none\nlisten = 127.0.0.1:9001\n[edge]\nlisten = [::1]:9000, unix:/tmp/e.sock\n")
            .empty());
}

TEST_CASE("an API without a secret is refused beside a listener that faces other machines") {
  CHECK(
      problemsOf("[api]\nauth = none\n[edge]\nlisten = 127.0.0.1:9000, 0.0.0.0:9001\n") ==
      Problems{
          R"(x.ini:2: [api] auth: "none" is refused, because [edge] listen (x.ini:4) is 0.0.0.0:9001, which other machines can reach; write auth = secret, or listen on 127.0.0.1)"});
  CHECK(
      problemsOf("[edge]\nlisten = [::]:9000\n", {"api.auth=none"}) ==
      Problems{
          R"(--set: [api] auth: "none" is refused, because [edge] listen (x.ini:2) is [::]:9000, which other machines can reach; write auth = secret, or listen on 127.0.0.1)"});
  CHECK(problemsOf("[api]\nauth = secret\n[edge]\nlisten = 0.0.0.0:9000\n").empty());
}

TEST_CASE("an API without a secret is refused beside a tunnel") {
  CHECK(
      problemsOf("[api]\nauth = none\n[edge]\ntunnel = yes\n") ==
      Problems{
          R"(x.ini:2: [api] auth: "none" is refused, because [edge] tunnel (x.ini:4) makes the API reachable from outside; write auth = secret, or tunnel = false)"});
  CHECK(problemsOf("[edge]\ntunnel = yes\n").empty());
}

TEST_CASE("a disabled plugin's listeners and tunnels do not count") {
  CHECK(problemsOf("[api]\nauth = none\n[edge]\nlisten = 0.0.0.0:9000\ntunnel = yes\n", {"plugins.enabled=engine"})
            .empty());
}

TEST_CASE("the API itself never faces other machines, and its admin socket is a socket") {
  CHECK(
      problemsOf("[api]\nlisten = 0.0.0.0:9001\n") ==
      Problems{
          R"(x.ini:2: [api] listen: "0.0.0.0:9001" faces other machines; write unix:/path or 127.0.0.1, and let a plugin's listener face the world)"});
  CHECK(
      problemsOf("[api]\nadmin = 127.0.0.1:9001\n") ==
      Problems{
          R"(x.ini:2: [api] admin: "127.0.0.1:9001" is not one unix socket; write one like unix:<data_dir>/run/admin.sock)"});
  CHECK(problemsOf("[api]\nadmin = unix:/a, unix:/b\n").size() == 1);
  CHECK(problemsOf("[api]\nadmin =\n").size() == 1);
}

TEST_CASE("two listeners on one address are refused, and both are named") {
  CHECK(
      problemsOf("[api]\nlisten = 127.0.0.1:9000\n[edge]\nlisten = 0.0.0.0:9000\n") ==
      Problems{
          R"(x.ini:4: [edge] listen: "0.0.0.0:9000" collides with 127.0.0.1:9000 of [api] listen (x.ini:2); give one of them another port or path)"});
  CHECK(
      problemsOf("[edge]\nlisten = 127.0.0.1:1, 127.0.0.1:1\n") ==
      Problems{
          R"(x.ini:2: [edge] listen: "127.0.0.1:1" collides with 127.0.0.1:1 of [edge] listen (x.ini:2); give one of them another port or path)"});
  CHECK(problemsOf("[api]\nlisten = unix:/tmp/a\nadmin = unix:/tmp/a\n").size() == 1);
  CHECK(problemsOf("[edge]\nlisten = 127.0.0.1:0, 127.0.0.1:0\n").empty());
}

TEST_CASE("plugins.required names, by default, those of the orchestrator and the proxy that are enabled") {
  const auto required = [](const std::string &enabled, const std::string &more = "") {
    const TempDir dir;
    LoadOptions options;
    options.file = dir.write("x.ini", "[plugins]\nenabled = " + enabled + "\n" + more);
    return validate(load(options), coreSchema())->getString("plugins", "required");
  };
  CHECK(required("runtime-docker, orchestrator, lifecycle, social, proxy") == "orchestrator, proxy");
  CHECK(required("proxy, other") == "proxy");
  CHECK(required("") == "");
  CHECK(required("proxy", "required = orchestrator, proxy\n") == "proxy"); // the default, written out
  CHECK(required("proxy", "required =\n") == "");
}

TEST_CASE("plugins.enabled names plugins, each once, and all that are required") {
  CHECK(problemsOf("[plugins]\nrequired = edge, signup\n") ==
        Problems{R"(x.ini:2: [plugins] required: "signup" is not in plugins.enabled; add it there or remove it here)"});
  CHECK(problemsOf("", {"plugins.enabled=edge, engine, edge"}) ==
        Problems{R"(--set: [plugins] enabled: "edge" is named twice)"});
  CHECK(problemsOf("", {"plugins.enabled=api"}) ==
        Problems{R"(--set: [plugins] enabled: "api" is a section of the core, not a plugin)"});
  CHECK(
      problemsOf("", {"plugins.enabled=../evil"}) ==
      Problems{
          R"(--set: [plugins] enabled: "../evil" is no plugin's name; write ids like proxy, with commas between them)"});
}

TEST_CASE("the API has at least 64 threads") {
  CHECK(problemsOf("[api]\nthreads = 63\n") ==
        Problems{R"(x.ini:2: [api] threads: "63" is out of range; it has to be from 64 to 4096)"});
}

TEST_CASE("the console has a host of its own: one label before the domain, or beside it") {
  const auto problem = [](const std::string &host, const std::string &domain = "apps.example.org") {
    const Problems all = problemsOf("[platform]\ndomain = " + domain + "\nconsole_host = " + host + "\n");
    return all.empty() ? std::string() : all.front();
  };
  for (const char *fine : {"", "console.apps.example.org", "Start.Apps.Example.org", "start.example.org", "example.org",
                           "start.example.com", "myapps.example.org"})
    CHECK_MESSAGE(problem(fine).empty(), problem(fine));
  CHECK(problem("start.localhost", "localhost").empty());
  CHECK(
      problem("a.b.apps.example.org") ==
      R"(x.ini:3: [platform] console_host: "a.b.apps.example.org" is more than one label before the domain; write one like console.apps.example.org)");
  CHECK(problem("Apps.Example.org").find("is a host of the platform already") != std::string::npos);
  CHECK(problem("api.apps.example.org").find("is a host of the platform already") != std::string::npos);
  CHECK(problem("console.localhost").find("is this machine's own") != std::string::npos);
  CHECK(problem("localhost").find("is this machine's own") != std::string::npos);
  CHECK(problem("192.0.2.7").find("is an address") != std::string::npos);
  CHECK(problem("console").find("has no domain") != std::string::npos);
  CHECK(problem("https://start.example.org").find("it names a scheme") != std::string::npos);
  CHECK(problem("start.example.org:8443").find("it names a port") != std::string::npos);
}
