#include "contract/Platform.h"

#include <matrixos/json.hpp>

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>

namespace matrixos::test {

namespace {

constexpr int kSkipped = 77;
constexpr int kPorts = 20;

DaemonProcess::Values withPorts(DaemonProcess::Values values) {
  requireEngine();
  const int base = freePort();
  values.emplace("orchestrator.gateway_base_port", std::to_string(base));
  values.emplace("orchestrator.shell_base_port", std::to_string(base + kPorts));
  values.emplace("orchestrator.ports_per_range", std::to_string(kPorts));
  return values;
}

} // namespace

void requireEngine() {
  static const bool ready = [] {
    if (!engineAnswers()) {
      std::puts("skipped: no Docker engine answers");
      std::fflush(stdout);
      std::_Exit(kSkipped);
    }
    const Finished made = run({BUILD_IMAGE, DEMO_INSTANCE, "matrixos-demo:latest"});
    if (made.status != 0) throw std::runtime_error("no demo image: " + made.out);
    return true;
  }();
  (void)ready;
}

Platform::Platform(DaemonProcess::Values values) : daemon_(withPorts(std::move(values))) {
  daemon_.start();
}

Platform::~Platform() {
  try {
    for (const std::string &handle : handles_)
      daemon_.api("DELETE", "/containers/" + handle);
  } catch (const std::exception &) {
    // The daemon is gone; its containers go below.
  }
  for (const std::string &handle : handles_) {
    if (containerExists(handle)) run({"docker", "rm", "-f", "matrixos-" + handle});
  }
}

std::string Platform::handle(const std::string &prefix) {
  return *handles_.insert(uniqueHandle(prefix)).first;
}

void Platform::provision(const std::string &handle, const std::string &user) {
  const Response response =
      daemon_.api("POST", "/containers/provision", R"({"handle":")" + handle + R"(","clerkUserId":")" + user + "\"}");
  REQUIRE_MESSAGE(response.status == 201, response.body);
}

std::string Platform::secret() const {
  std::string secret = readFile(daemon_.dir() / "data/admin.secret");
  while (!secret.empty() && secret.back() == '\n')
    secret.pop_back();
  return secret;
}

bool containerExists(const std::string &handle) {
  return run({"docker", "container", "inspect", "matrixos-" + handle}).status == 0;
}

bool networkExists(const std::string &name) {
  return run({"docker", "network", "inspect", name}).status == 0;
}

} // namespace matrixos::test
