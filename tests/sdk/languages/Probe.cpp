/// conformance-probe: judges the runtimes of the daemon it lives in, through the same proxies that the orchestrator
/// uses. POST /conformance/INSTANCE runs the kit's core part and answers its report.
#include <matrixos/abi/runtime.h>
#include <matrixos/plugin.hpp>

#include <Conformance.h>
#include <nlohmann/json.hpp>

namespace {

class Probe final : public matrixos::Plugin {
public:
  explicit Probe(const mos_host_v1 *host) : services_(host), routes_(host) {}

  void start() override {
    routes_.add("POST", "/conformance/:instance", MOS_PERMISSION_ADMIN,
                "Runs the core part of the conformance kit against a runtime",
                [this](matrixos::Exchange &exchange) { judge(exchange); });
    routes_.publish();
  }
  void stop() override {}

private:
  void judge(matrixos::Exchange &exchange) const {
    namespace kit = matrixos::conformance;
    const std::string instance(exchange.param("instance"));
    const auto *runtime = services_.acquire<mos_runtime_v1>(MOS_RUNTIME_1, instance);
    kit::Options options;
    options.viaHost = true;
    options.instances = 8;
    options.threads = 6;
    const auto results = kit::run(runtime, options, kit::select(kit::cases(), "", true));
    exchange.json(200, kit::toJson(instance, "", results));
  }

  matrixos::Services services_;
  matrixos::Routes routes_;
};

constexpr mos_need kNeeds[] = {{MOS_RUNTIME_1, 0, 0}};

} // namespace

MATRIXOS_PLUGIN(Probe, matrixos::Descriptor("conformance-probe", "Conformance probe", "1.0.0")
                           .vendor("Matrix OS")
                           .license("MIT")
                           .description("Judges the runtimes of its daemon.")
                           .needs(kNeeds))
