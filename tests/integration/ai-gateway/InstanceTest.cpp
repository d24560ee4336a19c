/// The gateway in the real daemon, before the test upstream over TLS: instances are processes and call with the token
/// that they were given.
#include <doctest/doctest.h>
#include <fixtures/llm-upstream/LlmUpstream.h>
#include <support/DaemonProcess.h>
#include <support/Text.h>
#include <support/Wait.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

using namespace matrixos::test;
namespace fs = std::filesystem;

namespace {

constexpr const char *kKey = "sk-ant-canary-4711";
constexpr const char *kNextKey = "sk-ant-canary-4712";

/// A folder with the secrets of a configuration, open to nobody else.
struct Secrets {
  TempDir dir;
  std::string write(const char *name, const std::string &text) const {
    writeFile(dir / name, text);
    fs::permissions(dir / name, fs::perms::owner_read | fs::perms::owner_write);
    return (dir / name).string();
  }
};

class Scene {
public:
  explicit Scene(const DaemonProcess::Values &more = {}) : daemon(values(more)) { daemon.start(); }
  ~Scene() {
    for (const std::string &handle : handles_)
      if (daemon.running()) daemon.api("DELETE", "/containers/" + handle);
  }

  /// A new instance, running; its handle.
  std::string provision() {
    handles_.push_back(uniqueHandle("gw"));
    const Response made =
        daemon.api("POST", "/containers/provision",
                   R"({"handle":")" + handles_.back() + R"(","clerkUserId":"user_)" + handles_.back() + "\"}");
    REQUIRE_MESSAGE(made.status == 201, made.body, daemon.log());
    return handles_.back();
  }
  /// A variable in the environment of the instance's program.
  std::string environment(const std::string &handle, const std::string &name) const {
    const std::string pid = member(daemon.web(handle + ".localhost", "/api/info").body, "pid");
    std::ifstream file("/proc/" + pid + "/environ", std::ios::binary);
    for (std::string line; std::getline(file, line, '\0');)
      if (line.rfind(name + "=", 0) == 0) return line.substr(name.size() + 1);
    return {};
  }
  std::string token(const std::string &handle) const { return environment(handle, "ANTHROPIC_API_KEY"); }
  Response call(const std::string &token, const std::string &scenario = "input=100 output=50") const {
    return request(port, "POST", "/v1/messages",
                   {{"Authorization", "Bearer " + token},
                    {"anthropic-version", "2026-10-21"},
                    {"Content-Type", "application/json"}},
                   R"({"model":"claude-haiku-4-5","max_tokens":100,"messages":[{"role":"user","content":"scenario: )" +
                       scenario + R"("}]})");
  }
  std::string metrics() const { return daemon.api("GET", "/metrics").body; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port); }

  Secrets secrets;
  LlmUpstream upstream{{"--key", kKey, "--key", kNextKey}};
  std::uint16_t port = freePort();
  DaemonProcess daemon;

private:
  DaemonProcess::Values values(const DaemonProcess::Values &more) const {
    const int ports = freePort();
    DaemonProcess::Values out = more;
    out.merge(DaemonProcess::Values{
        {"plugins.enabled", "runtime-process, orchestrator, lifecycle, social, proxy, ai-gateway"},
        {"api.auth", "secret"},
        {"orchestrator.runtime", "process"},
        {"orchestrator.gateway_base_port", std::to_string(ports)},
        {"orchestrator.shell_base_port", std::to_string(ports + 60)},
        {"orchestrator.ports_per_range", "50"},
        {"runtime-process.sandbox", "none"}, // its program has a process id that everybody knows it by
        {"runtime-process.command", "exec \"" + (buildDir() / "tests/demo-instance").string() + "\""},
        {"ai-gateway.listen", "127.0.0.1:" + std::to_string(port) + ", host-gateway:" + std::to_string(port)},
        {"ai-gateway.upstream", upstream.tlsUrl()},
        {"ai-gateway.upstream_ca_file", upstream.authority().string()},
        {"ai-gateway.api_keys_file", secrets.write("keys", std::string(kKey) + "\n")},
        {"ai-gateway.daily_limit_usd", "100"},
        {"social.proxy_url", url()}});
    return out;
  }

  std::vector<std::string> handles_;
};

} // namespace

TEST_CASE("an instance calls with the token that it was given, until it has another one or none") {
  Scene scene;
  const std::string handle = scene.provision();
  const std::string token = scene.token(handle);
  REQUIRE(token.rfind("mxi_", 0) == 0);
  const Response answer = scene.call(token);
  REQUIRE_MESSAGE(answer.status == 200, answer.body, scene.daemon.log());
  CHECK(has(answer.body, "\"output_tokens\":50"));
  CHECK(eventually(
      [&] { return has(scene.metrics(), R"(matrixos_ai_gateway_calls_total{family="haiku",outcome="ok"} 1)"); }));
  CHECK(scene.call("mxi_" + std::string(43, 'A')).status == 401);
  REQUIRE(scene.upstream.calls().size() == 1);
  CHECK(has(scene.upstream.calls()[0], "\"key\":\"4711\""));

  SUBCASE("a new container has a new token, and the old one is refused within a second") {
    REQUIRE(scene.daemon.api("POST", "/containers/" + handle + "/stop").status == 200);
    REQUIRE(scene.daemon.stop() == 0);
    fs::remove_all(scene.daemon.dir() / "data/runtime-process"); // the container is lost
    scene.daemon.start();
    REQUIRE(scene.daemon.api("POST", "/containers/" + handle + "/start").status == 200);
    const std::string next = scene.token(handle);
    CHECK(next != token);
    CHECK(scene.call(next).status == 200);
    CHECK(eventually([&] { return scene.call(token).status == 401; }, std::chrono::seconds{5}));
  }
  SUBCASE("an instance that is gone calls no more") {
    REQUIRE(scene.daemon.api("DELETE", "/containers/" + handle).status < 300);
    CHECK(eventually([&] { return scene.call(token).status == 401; }, std::chrono::seconds{5}));
  }
  SUBCASE("a daemon that was killed goes on with the same tokens, and keys change with a reload") {
    scene.daemon.kill();
    scene.daemon.start();
    CHECK(eventually([&] { return scene.call(token).status == 200; }));
    scene.secrets.write("keys", std::string(kNextKey) + "\n");
    const Finished reload = scene.daemon.ctl({"reload"});
    REQUIRE_MESSAGE(reload.status == 0, reload.out);
    CHECK(scene.call(token).status == 200);
    CHECK(has(scene.upstream.calls().back(), "\"key\":\"4712\""));
  }
}

TEST_CASE("prices that changed in their file count from a reload on, and bad ones change nothing, which it says") {
  const Secrets files;
  const auto write = [&](const std::string &output) {
    return files.write("prices.json",
                       R"({"unit":"USD per million tokens","models":[{"model":"claude-haiku-4-5","input":1,)"
                       R"("write_5m":1,"write_1h":1,"read":1,"output":)" +
                           output + R"(}],"web_search":0})");
  };
  Scene scene({{"ai-gateway.prices", write("5")}});
  const std::string handle = scene.provision();
  const std::string token = scene.token(handle);
  const auto isSpent = [&](const std::string &usd) {
    CHECK(scene.call(token).status == 200); // 100 tokens of input, 50 of output
    return eventually([&] { return has(scene.daemon.api("GET", "/ai/usage/" + handle).body, R"("dailyUsd":)" + usd); });
  };
  CHECK(isSpent("0.00035,"));
  write("50");
  const Finished taken = scene.daemon.ctl({"reload"});
  CHECK_MESSAGE(taken.status == 0, taken.out);
  CHECK(isSpent("0.00295,"));
  write("-1");
  const Finished refused = scene.daemon.ctl({"reload"});
  CHECK(refused.status != 0);
  CHECK_MESSAGE(has(refused.out, "models[0].output has to be a plain decimal number"), refused.out);
  CHECK(isSpent("0.00555,"));
}

TEST_CASE("an instance's messages reach another under its own name, straight and by way of social") {
  Scene scene;
  const std::string alice = scene.provision(), bob = scene.provision();
  const std::string token = scene.token(alice);
  const auto send = [&](const std::string &text, const std::string &with) {
    const std::string message = R"({"text":")" + text + R"(","from":{"handle":"mallory","displayName":"A"}})";
    const Headers headers{{"Authorization", "Bearer " + with}, {"Content-Type", "application/json"}};
    return std::pair(request(scene.port, "POST", "/send/" + bob, headers, message),
                     request(scene.daemon.apiSocket(), "POST", "/social/send/" + bob, headers, message));
  };
  const auto sent = send("hello", token);
  CHECK_MESSAGE(sent.first.status == 200, sent.first.body);
  CHECK_MESSAGE(sent.second.status == 200, sent.second.body, scene.daemon.log());
  const auto guessed = send("forged", "mxi_" + std::string(43, 'A'));
  CHECK(guessed.first.status == 401);
  CHECK(guessed.second.status == 401);
  const std::string read = scene.daemon.web(bob + ".localhost", "/api/messages").body;
  const std::string from = R"("from":{"handle":")" + alice + "\"";
  const std::size_t first = read.find(from);
  REQUIRE_MESSAGE(first != std::string::npos, read);
  CHECK_MESSAGE(read.find(from, first + 1) != std::string::npos, read);
  for (const char *gone : {"mallory", "forged", "mxi_"})
    CHECK_FALSE(has(read, gone));
}

TEST_CASE("operators and the instance itself are told what it spent, and what it may") {
  Scene scene;
  const std::string handle = scene.provision(), other = scene.provision(), token = scene.token(handle);
  REQUIRE(scene.call(token, "input=100 output=40").status == 200);
  const auto shown = [&](std::vector<std::string> words) {
    const Finished finished = scene.daemon.ctl(words);
    CAPTURE(finished.out);
    CHECK(finished.status == 0);
    return finished.out;
  };
  CHECK(has(shown({"usage"}), "NAME"));
  CHECK(has(shown({"usage"}), handle));
  CHECK_FALSE(has(shown({"usage"}), other)); // has not called
  CHECK(has(shown({"usage", handle}), "claude-haiku-4-5      1     100       0      40  0.0003"));
  const std::string days = shown({"usage", handle, "--by=day", "--since=2d"});
  CHECK(std::count(days.begin(), days.end(), '\n') == 1 + 3);
  CHECK(has(days, "      0       0       0       0  0.0000  \n"));
  CHECK(has(shown({"usage", handle, "--json"}), "\"bySession\":["));
  CHECK(has(shown({"usage", "--csv"}), "at,userId,instanceId,model,"));
  CHECK(has(shown({"usage", handle, "--csv"}), ",\"" + handle + "\","));
  CHECK(scene.daemon.ctl({"usage", "--", "limit"}).out == "matrixosctl: there is no instance \"limit\"\n");
  CHECK(shown({"usage", "limit", handle, "--monthly=7.5"}) ==
        "limits of " + handle + " in USD: 100 a day, 7.5 a month\n");
  CHECK(has(shown({"usage", "limits"}), "100.0000  0.0003         7.5000  0.0000"));
  CHECK(shown({"usage", "limit", handle, "--monthly=none"}) ==
        "limits of " + handle + " in USD: 100 a day, none a month\n");
  CHECK(scene.daemon.ctl({"usage", "limit", handle}).status == 1);
  const Response own = request(scene.daemon.apiSocket(), "GET", "/ai/usage/me", {{"Authorization", "Bearer " + token}});
  CHECK(own.status == 200);
  CHECK(own.body.find("{\"userId\":\"" + handle + "\",\"dailyUsd\":0.0003,") == 0);
}

TEST_CASE("no key of ours is anywhere but on the way to the upstream") {
  Scene scene;
  const std::string token = scene.token(scene.provision());
  std::string seen;
  for (const char *scenario : {"echo", "echo status=400 message=no", "echo status=500", "redirect=http://127.0.0.1:1/",
                               "cut=0", "gzip", "html status=502"}) {
    const Response answer = scene.call(token, scenario);
    seen += answer.body;
    for (const auto &[name, value] : answer.headers)
      seen += name + ": " + value + "\n";
  }
  seen += scene.metrics() + scene.daemon.api("GET", "/ready").body + scene.daemon.ctl({"config", "show"}).out;
  CHECK(scene.daemon.stop() == 0);
  seen += scene.daemon.log();
  for (const auto &entry : fs::recursive_directory_iterator(scene.daemon.dir() / "data"))
    if (entry.is_regular_file()) seen += readFile(entry.path());
  CHECK(has(seen, "matrixos_ai_gateway_calls_total"));
  CHECK_FALSE(has(seen, "sk-ant-canary"));
  CHECK_FALSE(has(scene.daemon.log(), "mxi_"));
}

TEST_CASE("what is wrong with the section is said before anything starts, with what to do") {
  const Secrets secrets;
  const auto check = [&](const std::string &key, const std::string &value) {
    DaemonProcess daemon({{key, value}, // the first of a name counts
                          {"plugins.enabled", "runtime-process, orchestrator, ai-gateway"},
                          {"orchestrator.runtime", "process"},
                          {"ai-gateway.api_keys_file", secrets.write("keys", "sk-ant-1\n")}});
    const Finished result = daemon.check();
    CHECK(result.status != 0);
    return result.out;
  };
  CHECK(has(check("ai-gateway.listen", "host-gateway"), "is no address"));
  CHECK(has(check("ai-gateway.daily_limit_usd", "-1"), "write one like 12.50"));
  CHECK(has(check("ai-gateway.monthly_limit_usd", "1.0000000000001"), "write one like 12.50"));
  CHECK(has(check("ai-gateway.routes", "/v2/x"), "is not below /v1/"));
  CHECK(has(check("ai-gateway.routes", "/v1/messages/batches"), "would not be counted"));
  CHECK(has(check("ai-gateway.api_keys_file", secrets.write("more", "sk-ant-1\nsk-ant-2 # ours\n")), "in key 2"));
  CHECK(has(check("ai-gateway.prices", "/nowhere/prices.json"), "cannot be read"));
  const std::string prices =
      check("ai-gateway.prices", secrets.write("prices", R"({"unit":"USD per million tokens"})"));
  CHECK_MESSAGE(has(prices, "web_search is missing"), prices);
  CHECK(has(check("ai-gateway.upstream", "https://a.example/?b"), "has a query"));
  CHECK(has(check("ai-gateway.upstream_ca_file", "/nowhere/ca.pem"), "/nowhere/ca.pem"));
}
