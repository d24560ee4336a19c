#include "ContainerScene.h"

#include "Costs.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <support/Text.h>
#include <support/Wait.h>
#include <sys/socket.h>

#include <array>
#include <fstream>
#include <sstream>

namespace matrixos::test {

namespace {

/// The instances' image: the demo instance, and Caller.c to call from inside.
std::string makeImage(const ContainerEngine &engine) {
  const std::string image = std::string(engine.isPodman() ? "localhost/" : "") + "matrixos-demo-caller:latest";
  std::string command;
  for (const std::string &word : engine.command())
    command += word + " ";
  const Finished made = run({"env", "ENGINE=" + command, BUILD_IMAGE, DEMO_INSTANCE, image, TEST_CALLER});
  if (made.status != 0) throw std::runtime_error("the image cannot be made: " + made.out);
  return image;
}

Response parseAnswer(const std::string &bytes) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) != 0) throw std::runtime_error("socketpair failed");
  RawConnection connection{FileDescriptor(ends[0])};
  sendAll(FileDescriptor(ends[1]).get(), bytes);
  return connection.receiveResponse();
}

} // namespace

ContainerScene::ContainerScene(const ContainerEngine &engine) : daemon(), engine_(engine), image_(makeImage(engine)) {
  daemon.rewriteConfig(values());
  daemon.start();
}

ContainerScene::~ContainerScene() {
  try {
    for (const std::string &handle : handles_)
      if (daemon.running()) daemon.api("DELETE", "/containers/" + handle);
    if (daemon.running()) daemon.stop();
  } catch (const std::exception &e) {
    MESSAGE(e.what()); // its containers go below
  }
  for (const std::string &handle : handles_)
    engine_.run({"rm", "-f", containerOf(handle)});
  for (const std::string &stranger : strangers_)
    engine_.run({"rm", "-f", stranger});
  engine_.run({"network", "rm", network_});
}

DaemonProcess::Values ContainerScene::values() const {
  writeFile(secrets_ / "key", std::string(kKey) + "\n");
  std::filesystem::permissions(secrets_ / "key", std::filesystem::perms(0600));
  const int ports = freePort();
  const std::string at = ":" + std::to_string(port);
  return {{"plugins.enabled", "runtime-docker, orchestrator, lifecycle, social, proxy, ai-gateway"},
          {"runtime-docker.endpoint", "unix:" + engine_.socket().string()},
          {"orchestrator.image", image_},
          {"orchestrator.network", network_},
          {"orchestrator.proxy_url", "http://proxy" + at},
          {"orchestrator.gateway_base_port", std::to_string(ports)},
          {"orchestrator.shell_base_port", std::to_string(ports + 20)},
          {"orchestrator.ports_per_range", "20"},
          {"ai-gateway.listen", "127.0.0.1" + at + ", host-gateway" + at},
          {"ai-gateway.upstream", upstream.tlsUrl()},
          {"ai-gateway.upstream_ca_file", upstream.authority().string()},
          {"ai-gateway.api_key_file", (secrets_ / "key").string()},
          {"ai-gateway.daily_limit_usd", "100"}};
}

std::string ContainerScene::provision() {
  const std::string handle = handles_.emplace_back(uniqueHandle("gw"));
  const Response made = daemon.api("POST", "/containers/provision",
                                   R"({"handle":")" + handle + R"(","clerkUserId":"user_)" + handle + "\"}");
  REQUIRE_MESSAGE(made.status == 201, made.body, daemon.log());
  return handle;
}

std::string ContainerScene::addStranger(const std::string &address) {
  strangers_.push_back(uniqueHandle("stranger"));
  std::vector<std::string> command = {"run", "-d", "--name", strangers_.back(), "--network", network_};
  if (!address.empty() && engine_.isPodman()) { // Docker grants no wishes here, and gives the lowest
    command.emplace_back("--ip");
    command.push_back(address);
  }
  command.insert(command.end(), {"--entrypoint", "/caller", image_, "wait"});
  runEngine(command);
  if (!address.empty()) REQUIRE(addressOf(strangers_.back()) == address);
  return strangers_.back();
}

std::string ContainerScene::runEngine(const std::vector<std::string> &arguments) const {
  Finished said = engine_.run(arguments);
  CHECK_MESSAGE(said.status == 0, said.out);
  while (!said.out.empty() && said.out.back() == '\n')
    said.out.pop_back();
  return said.out;
}

std::string ContainerScene::environment(const std::string &container) const {
  return runEngine({"exec", container, "/caller", "env"});
}

std::string ContainerScene::tokenOf(const std::string &handle) const {
  const std::string all = environment(containerOf(handle));
  const std::string name = "MATRIX_TOKEN=";
  const std::size_t at = all.find(name);
  REQUIRE_MESSAGE(at != std::string::npos, all);
  return all.substr(at + name.size(), all.find('\n', at) - at - name.size());
}

std::string ContainerScene::addressOf(const std::string &container) const {
  return runEngine({"inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container});
}

Response ContainerScene::ask(const std::string &container, const std::string &bytes, const std::string &host) const {
  const Finished said = engine_.run({"exec", "-i", container, "/caller", host, std::to_string(port)}, bytes);
  if (said.status == 0) return parseAnswer(said.out);
  Response none;
  none.body = said.out;
  return none;
}

std::string ContainerScene::callText(const std::string &token, const Headers &more, const std::string &target,
                                     const std::string &words) {
  Headers fields = {{"x-api-key", token}, {"anthropic-version", "2026-10-21"}, {"Content-Type", "application/json"}};
  fields.insert(fields.end(), more.begin(), more.end());
  return requestText(
      "POST", target, fields,
      R"({"model":"claude-haiku-4-5","max_tokens":100,"messages":[{"role":"user","content":"scenario: )" + words +
          R"("}]})");
}

bool ContainerScene::isServed(const std::string &handle, const std::string &token) const {
  Response last;
  const bool served = eventually([&] {
    last = ask(containerOf(handle), callText(token));
    return last.status == 200;
  });
  if (!served) MESSAGE(last.status << " " << last.body << "\n" << daemon.log());
  return served;
}

Response ContainerScene::admin(const std::string &target) const {
  const std::string secret = readFile(daemon.dir() / "data/admin.secret");
  return request(port, "GET", target, {{"Authorization", "Bearer " + secret.substr(0, secret.find('\n'))}});
}

std::int64_t ContainerScene::spentBy(const std::string &handle) const {
  std::string usage;
  CHECK(eventually([&] {
    usage = admin("/usage/" + handle).body;
    return picoOf(usage, "heldUsd") == 0;
  }));
  return picoOf(usage, "dailyUsd");
}

std::set<std::string> ContainerScene::listeningAt() const {
  constexpr int kListening = 0x0A;
  std::set<std::string> all;
  for (const char *table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream file(table);
    std::string line, number, local, remote, state;
    std::getline(file, line);
    while (std::getline(file, line)) {
      std::istringstream(line) >> number >> local >> remote >> state;
      const std::size_t colon = local.find(':');
      if (std::stoi(state, nullptr, 16) != kListening || std::stoi(local.substr(colon + 1), nullptr, 16) != port)
        continue;
      std::array<char, INET_ADDRSTRLEN> text{};
      in_addr address{};
      if (colon == 8) address.s_addr = static_cast<in_addr_t>(std::stoul(local.substr(0, colon), nullptr, 16));
      all.insert(colon == 8 ? ::inet_ntop(AF_INET, &address, text.data(), text.size()) : local.substr(0, colon));
    }
  }
  return all;
}

} // namespace matrixos::test
