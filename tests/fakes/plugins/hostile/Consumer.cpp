// Calls every function of whatever runtime there is, on request:
//   GET /fake-consumer/call?function=inspect&timeoutMs=200   {"status": "OK", "message": "…"}
// and of the lifecycle service "hostile":
//   …function=forget
//   …function=wake&fault=doze     waits for an answer; its completion misbehaves first
//   …function=released            after it has given the table back
#include "hostile/Misbehave.h"

#include <matrixos/json.hpp>
#include <matrixos/lifecycle.hpp>
#include <matrixos/plugin.hpp>
#include <matrixos/runtime.hpp>

#include <functional>
#include <future>
#include <map>

namespace {

class Consumer : public matrixos::Plugin {
public:
  explicit Consumer(const mos_host_v1 *host) : services_(host), routes_(host) {}

  void start() override {
    const auto *table = services_.acquire<mos_runtime_v1>(MOS_RUNTIME_1, "hostile");
    runtime_ = std::make_unique<matrixos::RuntimeClient>(table);
    routes_.add("GET", "/fake-consumer/call", MOS_PERMISSION_PUBLIC, "Calls the runtime",
                [this](matrixos::Exchange &exchange) { call(exchange); });
    routes_.publish();
  }
  void stop() override {}

private:
  void call(matrixos::Exchange &exchange) {
    const std::string function(exchange.queryParam("function").value_or(""));
    const auto timeout = std::stoi(std::string(exchange.queryParam("timeoutMs").value_or("10000")));
    const matrixos::CallScope scope(std::chrono::milliseconds{timeout}, "operation");
    std::string status = "OK", message;
    try {
      message = run(function, scope.abi(), std::string(exchange.queryParam("fault").value_or("")));
    } catch (const matrixos::Error &e) {
      status = matrixos::statusName(e.status());
      message = e.what();
    }
    matrixos::json::Object answer;
    answer.set("status", status);
    answer.set("message", message);
    exchange.json(200, matrixos::json::dump(answer));
  }

  std::string run(const std::string &function, const mos_call *call, const std::string &fault) {
    if (function == "forget" || function == "wake" || function == "released") return ofLifecycle(function, call, fault);
    const auto ignore = [](std::string_view) { return true; };
    const auto &r = *runtime_;
    const std::map<std::string, std::function<std::string()>> functions{
        {"capabilities", [&] { return r.capabilities(call); }},
        {"pull", [&] { return r.pull(call, "{}", ignore); }},
        {"create", [&] { return r.create(call, "{}"); }},
        {"start", [&] { return r.start(call, "r"), ""; }},
        {"stop", [&] { return r.stop(call, "r", {}), ""; }},
        {"remove", [&] { return r.remove(call, "r", 0), ""; }},
        {"inspect", [&] { return r.inspect(call, "r"); }},
        {"list", [&] { return r.list(call, "{}", ignore), ""; }},
        {"logs", [&] { return r.logs(call, "r", "{}", ignore), ""; }},
        {"stats", [&] { return r.stats(call, "r"); }},
        {"pause", [&] { return r.pause(call, "r"), ""; }},
        {"unpause", [&] { return r.unpause(call, "r"), ""; }},
        {"events", [&] { return r.events(call, "{}", ignore), ""; }},
        {"volume_ensure", [&] { return r.volumeEnsure(call, "{}"); }},
        {"volume_trash", [&] { return r.volumeTrash(call, "v", "a"), ""; }},
        {"volume_snapshot", [&] { return r.volumeSnapshot(call, "v", "a"), ""; }},
        {"endpoints", [&] { return r.endpoints(call, "r"); }},
        {"start_described", [&] { return r.startDescribed(call, "r"); }},
        {"volume_remove_if_empty", [&] { return r.volumeRemoveIfEmpty(call, "v"), ""; }},
    };
    const auto at = functions.find(function);
    if (at == functions.end()) throw matrixos::Error(matrixos::Status::NotFound, "no such function");
    return at->second();
  }

  std::string ofLifecycle(const std::string &function, const mos_call *call, const std::string &fault) {
    const auto table = services_.lease<mos_lifecycle_v1>(MOS_LIFECYCLE_1, "hostile");
    const matrixos::LifecycleClient lifecycle(table.get());
    if (function == "forget") lifecycle.forget(1);
    if (function == "wake") {
      std::promise<void> answered;
      lifecycle.ensureRunning(call, "alice", "shell", [&](const matrixos::Outcome &) {
        hostile::misbehave(fault);
        answered.set_value();
      });
      answered.get_future().wait();
    }
    if (function == "released") {
      const mos_lifecycle_v1 *kept = services_.acquire<mos_lifecycle_v1>(MOS_LIFECYCLE_1, "hostile");
      services_.release(kept);
      services_.release(table.get()); // both times: the lease's own end finds nothing to give back
      return matrixos::LifecycleClient(kept).describe("alice");
    }
    return {};
  }

  matrixos::Services services_;
  matrixos::Routes routes_;
  std::unique_ptr<matrixos::RuntimeClient> runtime_;
};

constexpr mos_need kNeeds[] = {{MOS_RUNTIME_1, 0, MOS_NEED_OPTIONAL}, {MOS_LIFECYCLE_1, 0, MOS_NEED_OPTIONAL}};

} // namespace

MATRIXOS_PLUGIN(Consumer, matrixos::Descriptor("fake-consumer", "Consumer", "1.0.0").needs(kNeeds));
