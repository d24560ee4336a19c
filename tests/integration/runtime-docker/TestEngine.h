#pragma once

#include "DockerRuntime.h"
#include "EngineHttp.h"
#include "Settings.h"
#include "support/ContainerEngine.h"
#include "support/Sockets.h"
#include "support/TempDir.h"
#include "support/Wait.h"

#include <matrixos/json.hpp>
#include <matrixos/runtime.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace matrixos::docker::test {

using matrixos::test::eventually;
using matrixos::test::freePort;
using matrixos::test::Process;
using matrixos::test::skip;

/// Runs a program and waits for it. True when it ended with 0; else its output goes to ours.
bool run(const std::vector<std::string> &command);

/// Whether somebody accepts TCP connections there.
bool connects(const std::string &address, std::uint16_t port);
/// The body that an HTTP server answers with, or "" when it cannot be reached.
std::string httpGet(const std::string &address, std::uint16_t port);

/// A running engine with the test image, shared by the cases of one program: Docker's own socket, or a Podman service
/// of its own. Everything made carries an install id of this run, and is removed at the end.
class TestEngine {
public:
  /// The engine named by TEST_ENGINE; made at the first call.
  static TestEngine &get(const std::string &name);

  explicit TestEngine(const std::string &name);
  TestEngine(const TestEngine &) = delete;
  TestEngine &operator=(const TestEngine &) = delete;
  ~TestEngine() { cleanUp(); }

  RuntimeClient client() const { return RuntimeClient(runtime_->table()); }
  DockerApi &api() { return *api_; }
  const Settings &settings() const { return settings_; }
  EngineEndpoint endpoint() const { return endpoint_; }
  const std::string &image() const { return image_; }
  const std::filesystem::path &directory() const { return directory_.path(); }
  /// A name no other run has.
  std::string unique(const std::string &name) const { return "mostest-" + runId_ + "-" + name; }
  /// A spec of the test image that serves on port 4000.
  json::Object::Ptr spec(const std::string &name, const std::string &network) const;

private:
  void loadImage();
  void cleanUp() noexcept;

  matrixos::test::ContainerEngine engine_;
  std::string runId_;
  std::string image_;
  matrixos::test::TempDir directory_;
  EngineEndpoint endpoint_;
  Settings settings_;
  std::unique_ptr<EngineHttp> http_;
  std::unique_ptr<DockerApi> api_;
  std::unique_ptr<DockerRuntime> runtime_;
};

/// A call with a deadline that no healthy engine misses.
class Within : public CallScope {
public:
  explicit Within(std::string operationId = {}) : CallScope(std::chrono::seconds{60}, std::move(operationId)) {}
};

/// The value of `member` in a JSON object text.
json::Value at(const std::string &text, const std::string &member);
/// Runs `action` and gives the Error it throws; fails the test when it throws none.
Error failure(const std::function<void()> &action);

} // namespace matrixos::docker::test
