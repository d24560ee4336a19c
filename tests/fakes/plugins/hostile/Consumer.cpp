// Calls every function of whatever runtime there is, on request:
//   GET /fake-consumer/call?function=inspect&timeoutMs=200   {"status": "OK", "message": "…"}
// and of the lifecycle service "hostile":
//   …function=forget
//   …function=wake&fault=doze     waits for an answer; its completion misbehaves first
//   …function=released            after it has given the table back
#include "hostile/Misbehave.h"

#include <matrixos/abi/runtime.h>
#include <matrixos/json.hpp>
#include <matrixos/lifecycle.hpp>
#include <matrixos/plugin.hpp>

#include <future>
#include <map>
#include <string_view>
#include <vector>

namespace {

MOS_DESCRIBE_SERVICE(runtime, MOS_RUNTIME_1, MOS_RUNTIME_1_MINOR, MOS_FUNCTIONS_OF_RUNTIME_1)

class Consumer : public matrixos::Plugin {
public:
  explicit Consumer(const mos_host_v1 *host) : services_(host), routes_(host) {}

  void start() override {
    runtime_ = services_.acquire<mos_runtime_v1>(MOS_RUNTIME_1, "hostile");
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
    for (std::uint32_t number = 0; number < runtime.functions_count; ++number)
      if (function == runtime.functions[number].name) return ofRuntime(number, call);
    throw matrixos::Error(matrixos::Status::NotFound, "no such function");
  }

  /// Calls it with an empty object for each text, and 0 for each number.
  std::string ofRuntime(std::uint32_t number, const mos_call *call) const {
    mos_str text = matrixos::toAbi("{}");
    std::int64_t integer = 0;
    std::uint32_t small = 0;
    mos_sink sink{nullptr, [](void *, mos_str) -> std::int32_t { return MOS_SINK_CONTINUE; }};
    matrixos::Buffer out;
    mos_buf *buffer = out.out();
    matrixos::check([&](mos_error *error) {
      const std::map<char, void *> values{{'c', &call},  {'s', &text}, {'j', &text},  {'i', &integer},
                                          {'u', &small}, {'k', &sink}, {'b', &buffer}};
      std::vector<void *> args;
      for (const char letter : std::string_view(runtime.functions[number].parameters))
        args.push_back(values.at(letter));
      args.push_back(&error);
      const auto *entries = reinterpret_cast<const mos_any_function *>(&runtime_->capabilities);
      return runtime.functions[number].invoke(entries[number], runtime_->self, args.data());
    });
    return out.str();
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
  const mos_runtime_v1 *runtime_ = nullptr;
};

constexpr mos_need kNeeds[] = {{MOS_RUNTIME_1, 0, MOS_NEED_OPTIONAL}, {MOS_LIFECYCLE_1, 0, MOS_NEED_OPTIONAL}};

} // namespace

MATRIXOS_PLUGIN(Consumer, matrixos::Descriptor("fake-consumer", "Consumer", "1.0.0").needs(kNeeds));
