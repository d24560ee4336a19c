// Makes the calls of a runtime's consumer, as told by HTTP, so that tests can make them in the real daemon:
//   GET /caller/inspect?ref=…          the answer of inspect()
//   GET /caller/start?ref=…[&op=…]     {} once start() returned
#include <matrixos/abi/runtime.h>
#include <matrixos/plugin.hpp>
#include <matrixos/runtime.hpp>

#include <memory>
#include <optional>
#include <string>

namespace {

using namespace matrixos;

class Caller : public Plugin {
public:
  explicit Caller(const mos_host_v1 *host) : services_(host), routes_(host), executor_(host) {}

  void start() override {
    runtime_.emplace(services_.acquire<mos_runtime_v1>(MOS_RUNTIME_1, "fake"));
    routes_.add("GET", "/caller/inspect", MOS_PERMISSION_PUBLIC, "Calls inspect()", [this](Exchange &exchange) {
      later(exchange, [this](Exchange &e) {
        const CallScope call(std::chrono::seconds{30});
        e.json(200, runtime_->inspect(call.abi(), text(e, "ref")));
      });
    });
    routes_.add("GET", "/caller/start", MOS_PERMISSION_PUBLIC, "Calls start()", [this](Exchange &exchange) {
      later(exchange, [this](Exchange &e) {
        const CallScope call(std::chrono::seconds{30}, text(e, "op"));
        runtime_->start(call.abi(), text(e, "ref"));
        e.json(200, "{}");
      });
    });
    routes_.publish();
  }
  void stop() override {}

private:
  static std::string text(const Exchange &exchange, std::string_view name) {
    return std::string(exchange.queryParam(name).value_or(""));
  }

  template <typename Work>
  void later(Exchange &exchange, Work work) {
    auto kept = std::make_shared<Exchange>(std::move(exchange));
    executor_.submit([kept, work] {
      try {
        work(*kept);
      } catch (const Error &e) {
        kept->fail(e);
      }
    });
  }

  const Services services_;
  Routes routes_;
  Executor executor_;
  std::optional<RuntimeClient> runtime_;
};

constexpr mos_need kNeeds[] = {{MOS_RUNTIME_1, 0, 0}};

} // namespace

MATRIXOS_PLUGIN(Caller,
                matrixos::Descriptor("fake-caller", "Caller of runtimes", "1.0.0").vendor("Tests").needs(kNeeds))
