/// An orchestrator on a real database and a fake engine, that can be stopped and started again.
#pragma once

#include "FakeRuntime.h"
#include "Service.h"
#include "TestHost.h"

#include <matrixos/json.hpp>

#include <memory>
#include <string>

namespace matrixos::test {

struct Fixture {
  /// `at`: a directory that outlives the fixture, engine included; empty: a fresh one.
  explicit Fixture(bool startNow = true, const std::filesystem::path &at = {}) : root(at.empty() ? dir.path() : at) {
    if (!at.empty()) runtime.persistTo((root / "engine.json").string());
    settings.installId = "01TESTINSTALL0000000000000";
    settings.node = "node-1";
    settings.domain = "example.test";
    settings.usersDir = (root / "users").string();
    settings.reconcileInterval = std::chrono::hours(1); // passes are asked for
    settings.retryBase = std::chrono::milliseconds(1);
    settings.retryMax = std::chrono::milliseconds(1);
    settings.drainTimeout = std::chrono::milliseconds(50);
    if (startNow) start();
  }
  ~Fixture() { stop(); }

  void start() {
    host = std::make_unique<TestHost>(root / "platform.db");
    service = std::make_unique<orchestrator::Service>(host->abi(), RuntimeClient(runtime.table()), settings);
    service->start();
  }
  void stop() {
    if (service) service->stop();
    service.reset();
    host.reset();
  }
  void restart() {
    stop();
    start();
  }
  /// One pass and all that it queued.
  bool reconcile() {
    service->reconcile();
    return eventually([&] { return service->pending() == 0; });
  }

  Answer provision(const std::string &handle, const std::string &user) {
    return host->request("POST", "/containers/provision",
                         R"({"handle":")" + handle + R"(","clerkUserId":")" + user + R"("})");
  }
  Answer get(const std::string &handle) { return host->request("GET", "/containers/" + handle); }
  /// A member of the instance's JSON; "" when there is no such instance.
  std::string field(const std::string &handle, const std::string &key) {
    const Answer answer = get(handle);
    if (answer.status != 200) return {};
    return json::parseObject(answer.body)->getValue<std::string>(key);
  }
  std::int64_t rows(const std::string &table) {
    return host->database().queryInt("SELECT COUNT(*) FROM " + table).value_or(-1);
  }
  /// Nothing of any instance is left anywhere.
  bool isClean() {
    return rows("containers") == 0 && rows("port_assignments") == 0 && runtime.count() == 0 &&
           runtime.networks().empty();
  }

  TempDir dir;
  std::filesystem::path root;
  FakeRuntime runtime;
  orchestrator::Settings settings;
  std::unique_ptr<TestHost> host;
  std::unique_ptr<orchestrator::Service> service;
};

inline FakeRuntime::Fault engineFault(bool after = false) {
  return {Error(Status::Unavailable, "the engine burps", "ENGINE_REPLY"), after};
}

} // namespace matrixos::test
