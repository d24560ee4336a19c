#include "TestEngine.h"

#include "support/HttpClient.h"

#include <matrixos/ulid.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <iostream>

namespace matrixos::docker::test {

namespace fs = std::filesystem;

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

TestEngine::TestEngine(const std::string &name)
    : engine_(name), runId_(makeUlid().substr(10)),
      endpoint_(EngineEndpoint::parse("unix:" + engine_.socket().string())) {
  std::transform(runId_.begin(), runId_.end(), runId_.begin(), [](unsigned char c) { return std::tolower(c); });
  settings_.installId = runId_;
  http_ = std::make_unique<EngineHttp>(endpoint_);
  api_ = std::make_unique<DockerApi>(*http_, settings_);
  runtime_ = std::make_unique<DockerRuntime>(*http_, settings_);
  loadImage();
}

void TestEngine::loadImage() {
  const fs::path root = directory() / "image";
  fs::create_directories(root / "tmp");
  fs::copy_file(TEST_TENANT, root / "tenant", fs::copy_options::overwrite_existing);
  const std::string tar = directory() / "image.tar";
  image_ = (engine_.isPodman() ? "localhost/" : "") + unique("image") + ":1";
  if (!run({"tar", "-C", root, "-cf", tar, "."}) || engine_.run({"import", tar, image_}).status != 0)
    skip("the test image cannot be imported");
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
    engine_.run({"rmi", "-f", image_});
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
