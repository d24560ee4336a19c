#pragma once

#include "SimulatedRuntime.h"

#include <matrixos/json.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace matrixos::simulated::test {

/// An engine with its runtime, used through the ABI's table as a consumer does.
struct Rig {
  explicit Rig(EngineOptions options = {}, EngineClock::Mode mode = EngineClock::Mode::Virtual,
               std::uint64_t faultSeed = 1)
      : clock(mode), engine(std::move(options), clock), faults(faultSeed), runtime(engine, faults, nullptr),
        client(runtime.table()) {}

  EngineClock clock;
  SimulatedEngine engine;
  FaultScript faults;
  SimulatedRuntime runtime;
  RuntimeClient client;

  /// A context as most calls need it: 30 s, no operation id.
  const mos_call *call() {
    scopes.push_back(std::make_unique<CallScope>(std::chrono::seconds{30}));
    return scopes.back()->abi();
  }
  const mos_call *call(const std::string &operation) {
    scopes.push_back(std::make_unique<CallScope>(std::chrono::seconds{30}, operation));
    return scopes.back()->abi();
  }
  std::vector<std::unique_ptr<CallScope>> scopes;

  void pull(const std::string &image = "demo:1") {
    client.pull(call(), R"({"image":")" + image + R"("})", [](std::string_view) { return true; });
  }
  /// Ref of a new container.
  std::string create(const std::string &specJson, const std::string &operation = "") {
    return json::getString(*json::parseObject(client.create(call(operation), specJson)), "ref");
  }
  std::string made(const std::string &name) {
    if (!engine.findImage("demo:1")) pull();
    return create(R"({"name":")" + name + R"(","image":"demo:1","labels":{"owner":"t","who":")" + name +
                  R"("},"ports":[{"name":"gateway","containerPort":4000}]})");
  }
  std::string started(const std::string &name) {
    std::string ref = made(name);
    client.start(call(), ref);
    return ref;
  }
  json::Object::Ptr inspect(const std::string &ref) { return json::parseObject(client.inspect(call(), ref)); }
  std::string state(const std::string &ref) { return json::getString(*inspect(ref), "state"); }
  std::vector<std::string> list(const std::string &labels = "{}") {
    std::vector<std::string> names;
    client.list(call(), labels, [&](std::string_view item) {
      names.push_back(json::getString(*json::parseObject(item), "name"));
      return true;
    });
    return names;
  }
};

/// How a call ended: "OK", or "NOT_FOUND CONTAINER_NOT_FOUND".
inline std::string ending(const std::function<void()> &body) {
  try {
    body();
    return "OK";
  } catch (const Error &e) {
    CHECK_MESSAGE(std::string(e.what()).size() > 10, "an error without a sentence");
    return statusName(e.status()) + (e.reason().empty() ? "" : " " + e.reason());
  }
}

/// Every description, to compare engines with.
inline std::string dump(SimulatedEngine &engine) {
  std::string all;
  engine.list({}, [&](std::string_view item) {
    all.append(item).append("\n");
    return true;
  });
  return all + engine.summary();
}

} // namespace matrixos::simulated::test
