/// The plugin's frame.
#include "Commands.h"
#include "Service.h"

#include <matrixos/orchestrator.hpp>
#include <matrixos/plugin.hpp>
#include <matrixos/runtime.hpp>

#include <memory>

namespace matrixos::orchestrator {
namespace {

constexpr const char *kId = "orchestrator";

class OrchestratorPlugin : public Plugin {
public:
  explicit OrchestratorPlugin(const mos_host_v1 *host) : host_(host), config_(host), platform_(host), services_(host) {}

  void start() override {
    Settings settings = Settings::read(config_, platform_);
    const auto *runtime = services_.acquire<mos_runtime_v1>(MOS_RUNTIME_1, settings.runtime);
    service_ = std::make_unique<Service>(host_, RuntimeClient(runtime), std::move(settings));
    service_->start();
    services_.provide(MOS_ORCHESTRATOR_1, {}, service_->orchestrator().table());
    services_.provide(MOS_IDENTITY_1, kId, service_->identity());
  }

  void stop() override {
    services_.withdraw(MOS_IDENTITY_1, kId);
    services_.withdraw(MOS_ORCHESTRATOR_1, {});
    if (!service_->stop()) {
      throw Error(Status::DeadlineExceeded, "an operation did not end although it was cancelled", "STUCK");
    }
  }

  void reconfigure() override { service_->reconfigure(Settings::read(config_, platform_)); }

private:
  const mos_host_v1 *host_;
  Config config_;
  Platform platform_;
  Services services_;
  std::unique_ptr<Service> service_;
};

constexpr mos_provide kProvides[] = {{MOS_ORCHESTRATOR_1, "", MOS_ORCHESTRATOR_1_MINOR, 0},
                                     {MOS_IDENTITY_1, kId, MOS_IDENTITY_1_MINOR, 0}};
constexpr mos_claim kClaims[] = {
    {MOS_CLAIM_TABLE, "containers", nullptr, "The instances."},
    {MOS_CLAIM_TABLE, "port_assignments", nullptr, "Host ports of instances."},
    {MOS_CLAIM_TABLE, "handle_tombstones", nullptr, "Handles that are not given away yet."},
    {MOS_CLAIM_TABLE, "orchestrator_*", nullptr, nullptr},
    {MOS_CLAIM_TOPIC, "instance.*", nullptr, "What happens to instances."},
    {MOS_CLAIM_PATH, "/containers", nullptr, nullptr},
    {MOS_CLAIM_PATH, "!/containers/:handle/shares", nullptr, "Of who knows people."},
    {MOS_CLAIM_PATH, "/trash", nullptr, nullptr},
    {MOS_CLAIM_PATH, "/handles", nullptr, nullptr},
};
constexpr mos_need kNeeds[] = {{MOS_RUNTIME_1, 0, 0}};

} // namespace
} // namespace matrixos::orchestrator

MATRIXOS_PLUGIN(matrixos::orchestrator::OrchestratorPlugin,
                matrixos::Descriptor(matrixos::orchestrator::kId, "Orchestrator", "0.1.0")
                    .vendor("Matrix OS")
                    .license("MIT")
                    .description("Creates, starts, stops and removes the instances of users.")
                    .provides(matrixos::orchestrator::kProvides)
                    .needs(matrixos::orchestrator::kNeeds)
                    .configKeys(matrixos::orchestrator::kConfigKeys)
                    .commands(matrixos::orchestrator::kCommands)
                    .claims(matrixos::orchestrator::kClaims))
