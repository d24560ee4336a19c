#include "TestEngine.h"

#include <matrixos/ulid.hpp>

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <thread>

extern char **environ;

namespace matrixos::docker::test {

namespace fs = std::filesystem;

void skip(const std::string &reason) {
  const char *ci = std::getenv("CI");
  const bool required = ci != nullptr && std::string(ci) == "true";
  std::cout << (required ? "FAILED: " : "SKIPPED: ") << reason << std::endl;
  std::_Exit(required ? 1 : 77);
}

pid_t spawn(const std::vector<std::string> &arguments, const std::vector<std::string> &environment) {
  std::vector<char *> argv;
  for (const std::string &argument : arguments)
    argv.push_back(const_cast<char *>(argument.c_str()));
  argv.push_back(nullptr);
  std::vector<char *> env;
  for (char **entry = environ; *entry != nullptr; ++entry)
    env.push_back(*entry);
  for (const std::string &entry : environment)
    env.push_back(const_cast<char *>(entry.c_str()));
  env.push_back(nullptr);
  pid_t pid = -1;
  if (::posix_spawnp(&pid, argv[0], nullptr, nullptr, argv.data(), env.data()) != 0) return -1;
  return pid;
}

bool run(const std::vector<std::string> &arguments) {
  const pid_t pid = spawn(arguments);
  int status = 0;
  if (pid < 0) return false;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void terminate(pid_t pid) {
  if (pid <= 0) return;
  ::kill(pid, SIGTERM);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
}

bool waitFor(const std::function<bool()> &condition, std::chrono::seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
  return condition();
}

std::uint16_t freePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  const bool ok = ::bind(fd, reinterpret_cast<sockaddr *>(&address), length) == 0 &&
                  ::getsockname(fd, reinterpret_cast<sockaddr *>(&address), &length) == 0;
  ::close(fd);
  return ok ? ntohs(address.sin_port) : std::uint16_t{0};
}

bool connects(const std::string &address, std::uint16_t port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  if (::inet_pton(AF_INET, address.c_str(), &to.sin_addr) != 1) return false;
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool connected = ::connect(fd, reinterpret_cast<sockaddr *>(&to), sizeof to) == 0;
  ::close(fd);
  return connected;
}

std::string httpGet(const std::string &address, std::uint16_t port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  if (::inet_pton(AF_INET, address.c_str(), &to.sin_addr) != 1) return {};
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::string answer;
  constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: tenant\r\n\r\n";
  if (::connect(fd, reinterpret_cast<sockaddr *>(&to), sizeof to) == 0 &&
      ::send(fd, kRequest.data(), kRequest.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(kRequest.size())) {
    char buffer[1024];
    for (ssize_t got = ::read(fd, buffer, sizeof buffer); got > 0; got = ::read(fd, buffer, sizeof buffer)) {
      answer.append(buffer, static_cast<std::size_t>(got));
    }
  }
  ::close(fd);
  const std::size_t body = answer.find("\r\n\r\n");
  return body == std::string::npos ? "" : answer.substr(body + 4);
}

json::Value at(const std::string &text, const std::string &member) {
  return json::parseObject(text)->get(member);
}

Error failure(const std::function<void()> &action) {
  try {
    action();
  } catch (const Error &e) {
    return e;
  }
  FAIL("nothing was thrown");
  return Error(Status::Unknown, "");
}

TestEngine &TestEngine::get(const std::string &name) {
  static TestEngine engine(name);
  return engine;
}

TestEngine::TestEngine(const std::string &name) : name_(name), runId_(makeUlid().substr(10)) {
  std::transform(runId_.begin(), runId_.end(), runId_.begin(), [](unsigned char c) { return std::tolower(c); });
  directory_ = fs::temp_directory_path() / unique("dir");
  fs::create_directories(directory_);
  settings_.installId = runId_;
  if (name_ == "podman") {
    startPodman();
  } else {
    endpoint_ = EngineEndpoint::parse("unix:/var/run/docker.sock");
    cli_ = {"docker"};
  }
  http_ = std::make_unique<EngineHttp>(endpoint_);
  api_ = std::make_unique<DockerApi>(*http_, settings_);
  runtime_ = std::make_unique<DockerRuntime>(*http_, settings_);
  waitForEngine();
  loadImage();
}

TestEngine::~TestEngine() {
  cleanUp();
  terminate(podman_);
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

void TestEngine::startPodman() {
  if (::geteuid() != 0) skip("Podman's service is tested as root only");
  const std::string base = directory_;
  const std::string socket = base + "/podman.sock";
  // Its own storage and networks, and limits that a machine with a low file limit can grant.
  std::ofstream(base + "/containers.conf")
      << "[containers]\ndefault_ulimits=[\"nofile=1024:1024\",\"nproc=4096:4096\"]\n";
  ::setenv("CONTAINERS_CONF", (base + "/containers.conf").c_str(), 1);
  cli_ = {"podman",      "--root",           base + "/root", "--runroot", base + "/run", "--network-config-dir",
          base + "/net", "--cgroup-manager", "cgroupfs"};
  fs::create_directories(base + "/net");
  std::vector<std::string> command = cli_;
  command.insert(command.end(), {"system", "service", "--time=0", "unix:" + socket});
  podman_ = spawn(command);
  if (podman_ < 0) skip("podman is not installed");
  endpoint_ = EngineEndpoint::parse("unix:" + socket);
}

void TestEngine::waitForEngine() {
  std::string problem;
  const bool there = waitFor(
      [&] {
        mos_error error{};
        const CallScope scope(std::chrono::seconds{5});
        const bool ok = guarded(&error, [&] { api_->version(Call(scope.abi())); }) == MOS_OK;
        problem = error.message;
        return ok;
      },
      std::chrono::seconds{podman_ > 0 ? 15 : 1});
  if (!there) skip("no " + name_ + " engine answers: " + problem);
}

void TestEngine::loadImage() {
  const fs::path root = directory_ / "image";
  fs::create_directories(root / "tmp");
  fs::copy_file(TEST_TENANT, root / "tenant", fs::copy_options::overwrite_existing);
  const std::string tar = directory_ / "image.tar";
  image_ = (name_ == "podman" ? "localhost/" : "") + unique("image") + ":1";
  std::vector<std::string> import = cli_;
  import.insert(import.end(), {"import", tar, image_});
  if (!run({"tar", "-C", root, "-cf", tar, "."}) || !run(import)) skip("the test image cannot be imported");
}

void TestEngine::cleanUp() noexcept {
  guarded(nullptr, [&] {
    const Within scope;
    const Call call(scope.abi());
    for (const std::string &id : api_->listContainers(call, {{label::kInstallId, runId_}})) {
      api_->removeContainer(call, id, true);
    }
    for (const NetworkInfo &network : api_->listNetworks(call, {{label::kInstallId, runId_}})) {
      api_->removeNetwork(call, network.id);
    }
    std::vector<std::string> remove = cli_;
    remove.insert(remove.end(), {"rmi", "-f", image_});
    run(remove);
  });
}

json::Object::Ptr TestEngine::spec(const std::string &name, const std::string &network) const {
  json::Object::Ptr spec = json::parseObject(R"({"command": ["/tenant", "serve", "4000"], "memoryBytes": 268435456,
    "cpus": 0.5, "pidsLimit": 256, "restart": "unless-stopped", "hostAliases": ["proxy"],
    "env": {"MATRIX_HANDLE": "alice", "PORT": "4000"}, "labels": {"matrixos.test": "yes"},
    "ports": [{"name": "gateway", "containerPort": 4000}]})");
  spec->set("name", name);
  spec->set("image", image_);
  json::Object::Ptr item = new json::Object;
  item->set("name", network);
  item->set("driver", "bridge");
  json::Array::Ptr networks = new json::Array;
  networks->add(item);
  spec->set("networks", networks);
  return spec;
}

} // namespace matrixos::docker::test
