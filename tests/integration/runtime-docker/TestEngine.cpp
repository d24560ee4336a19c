#include "TestEngine.h"

#include "support/HttpClient.h"

#include <matrixos/ulid.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>

namespace matrixos::docker::test {

namespace fs = std::filesystem;

void skip(const std::string &reason) {
  const char *ci = std::getenv("CI");
  const bool required = ci != nullptr && std::string(ci) == "true";
  std::cout << (required ? "FAILED: " : "SKIPPED: ") << reason << std::endl;
  std::_Exit(required ? 1 : 77);
}

bool run(const std::vector<std::string> &command) {
  const matrixos::test::Finished done = matrixos::test::run(command, {}, std::chrono::minutes{5});
  if (done.status != 0) std::cout << done.out << std::flush;
  return done.status == 0;
}

bool connects(const std::string &address, std::uint16_t port) {
  try {
    matrixos::test::connectTo(address, port);
    return true;
  } catch (const std::exception &) {
    return false;
  }
}

std::string httpGet(const std::string &address, std::uint16_t port) {
  try {
    matrixos::test::RawConnection connection(matrixos::test::connectTo(address, port));
    connection.send("GET / HTTP/1.1\r\nHost: tenant\r\n\r\n");
    return connection.receiveResponse().body;
  } catch (const std::exception &) {
    return {};
  }
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
  if (!podman_) return;
  podman_->signal(SIGTERM);
  podman_->wait(std::chrono::minutes{1});
}

void TestEngine::startPodman() {
  if (::geteuid() != 0) skip("Podman's service is tested as root only");
  const std::string base = directory();
  const std::string socket = base + "/podman.sock";
  // Its own storage and networks, and limits that a machine with a low file limit can grant.
  std::ofstream(base + "/containers.conf")
      << "[containers]\ndefault_ulimits=[\"nofile=1024:1024\",\"nproc=4096:4096\"]\n";
  ::setenv("CONTAINERS_CONF", (base + "/containers.conf").c_str(), 1);
  cli_ = {"podman",      "--root",           base + "/root", "--runroot",
          base + "/run", "--tmpdir",         base + "/tmp",  "--network-config-dir",
          base + "/net", "--cgroup-manager", "cgroupfs"};
  fs::create_directories(base + "/net");
  std::vector<std::string> command = cli_;
  command.insert(command.end(), {"system", "service", "--time=0", "unix:" + socket});
  if (matrixos::test::run({"podman", "--version"}).status == 127) skip("podman is not installed");
  podman_ = std::make_unique<Process>(command, directory() / "podman.log");
  endpoint_ = EngineEndpoint::parse("unix:" + socket);
}

void TestEngine::waitForEngine() {
  std::string problem;
  const bool there = eventually(
      [&] {
        mos_error error{};
        const CallScope scope(std::chrono::seconds{5});
        const bool ok = guarded(&error, [&] { api_->version(Call(scope.abi())); }) == MOS_OK;
        problem = error.message;
        return ok;
      },
      std::chrono::seconds{podman_ ? 15 : 1});
  if (!there) skip("no " + name_ + " engine answers: " + problem);
}

void TestEngine::loadImage() {
  const fs::path root = directory() / "image";
  fs::create_directories(root / "tmp");
  fs::copy_file(TEST_TENANT, root / "tenant", fs::copy_options::overwrite_existing);
  const std::string tar = directory() / "image.tar";
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
