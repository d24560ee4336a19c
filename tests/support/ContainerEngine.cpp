#include "support/ContainerEngine.h"

#include "support/Sockets.h"
#include "support/Wait.h"

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string_view>

namespace matrixos::test {

void skip(const std::string &reason) {
  const char *ci = std::getenv("CI");
  const bool required = ci != nullptr && std::string_view(ci) == "true";
  std::cout << (required ? "FAILED: " : "SKIPPED: ") << reason << std::endl;
  std::_Exit(required ? 1 : 77);
}

ContainerEngine::ContainerEngine(const std::string &name) {
  if (name == "podman")
    startPodman();
  else
    command_ = {"docker"};
  const bool there = eventually(
      [&] {
        try {
          connectTo(socket());
          return true;
        } catch (const std::exception &) {
          return false;
        }
      },
      std::chrono::seconds{podman_ ? 15 : 1});
  if (!there) skip("no " + name + " engine answers at " + socket().string());
}

ContainerEngine::~ContainerEngine() {
  if (!podman_) return;
  podman_->signal(SIGTERM);
  podman_->wait(std::chrono::minutes{1});
}

std::filesystem::path ContainerEngine::socket() const {
  return podman_ ? dir_ / "podman.sock" : std::filesystem::path("/var/run/docker.sock");
}

Finished ContainerEngine::run(std::vector<std::string> arguments, const std::string &input) const {
  arguments.insert(arguments.begin(), command_.begin(), command_.end());
  return test::run(arguments, input, std::chrono::minutes{5});
}

void ContainerEngine::startPodman() {
  if (::geteuid() != 0) skip("Podman's service is tested as root only");
  if (test::run({"podman", "--version"}).status == 127) skip("podman is not installed");
  const std::string base = dir_.path();
  // Limits that a machine with a low file limit can grant.
  writeFile(dir_ / "containers.conf", "[containers]\ndefault_ulimits=[\"nofile=1024:1024\",\"nproc=4096:4096\"]\n");
  ::setenv("CONTAINERS_CONF", (base + "/containers.conf").c_str(), 1);
  command_ = {"podman",      "--root",           base + "/root", "--runroot",
              base + "/run", "--tmpdir",         base + "/tmp",  "--network-config-dir",
              base + "/net", "--cgroup-manager", "cgroupfs"};
  std::filesystem::create_directories(base + "/net");
  std::vector<std::string> service = command_;
  service.insert(service.end(), {"system", "service", "--time=0", "unix:" + base + "/podman.sock"});
  podman_ = std::make_unique<Process>(service, dir_ / "podman.log");
}

} // namespace matrixos::test
