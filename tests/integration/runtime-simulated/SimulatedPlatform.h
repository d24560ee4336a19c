#pragma once

#include "support/DaemonProcess.h"
#include "support/Wait.h"

#include <matrixos/json.hpp>

#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>

namespace matrixos::test {

/// The platform on the simulated engine: virtual time, control routes, and a state that outlives the daemon.
class SimulatedPlatform {
public:
  explicit SimulatedPlatform(DaemonProcess::Values values = {}) : daemon(withDefaults(std::move(values))) {
    daemon.rewriteConfig({{"runtime-simulated.state_dir", (daemon.dir() / "engine").string()}});
    daemon.start();
  }

  DaemonProcess daemon;

  Response provision(const std::string &handle) const {
    return daemon.api("POST", "/containers/provision",
                      R"({"handle":")" + handle + R"(","clerkUserId":"user_)" + handle + R"("})");
  }
  Response control(const std::string &method, const std::string &target, const std::string &body = {}) const {
    Response answer = daemon.api(method, "/simulated/" + target, body);
    CAPTURE(target);
    CAPTURE(answer.body);
    CHECK(answer.status == 200);
    return answer;
  }
  /// Rules in place of those before; "" for none.
  void faults(const std::string &rules) const { control("PUT", "faults", R"({"rules":[)" + rules + "]}"); }

  /// State of each simulated container by name.
  std::map<std::string, std::string> containers() const {
    std::map<std::string, std::string> states;
    const auto root = json::parse(control("GET", "instances").body);
    for (const json::Value &item : *root.extract<json::Array::Ptr>()) {
      const auto object = item.extract<json::Object::Ptr>();
      states[json::getString(*object, "name")] = json::getString(*object, "state");
    }
    return states;
  }
  /// Status of each row by the name that its container has to have.
  std::map<std::string, std::string> rows() const {
    std::map<std::string, std::string> statuses;
    const auto root = json::parse(daemon.api("GET", "/containers").body);
    for (const json::Value &item : *root.extract<json::Array::Ptr>()) {
      const auto object = item.extract<json::Object::Ptr>();
      statuses["matrixos-" + json::getString(*object, "handle")] = json::getString(*object, "status");
    }
    return statuses;
  }
  /// A number from /simulated/state, by the names on the way to it.
  std::int64_t state(const std::string &part, const std::string &group, const std::string &name) const {
    const auto root = json::parseObject(control("GET", "state").body);
    const auto object = json::findObject(*json::findObject(*root, part), group);
    return object ? json::getInt(*object, name, -1) : -1;
  }
  std::int64_t volumes() const {
    const auto root = json::parseObject(control("GET", "state").body);
    return json::getInt(*json::findObject(*root, "engine"), "volumes", -1);
  }

private:
  static DaemonProcess::Values withDefaults(DaemonProcess::Values values) {
    values.merge(DaemonProcess::Values{{"plugins.enabled", "runtime-simulated, orchestrator, lifecycle, social, proxy"},
                                       {"orchestrator.runtime", "simulated"},
                                       {"orchestrator.reconcile_interval", "1s"},
                                       {"runtime-simulated.clock", "virtual"},
                                       {"runtime-simulated.control", "true"}});
    return values;
  }
};

} // namespace matrixos::test
