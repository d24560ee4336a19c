// Stands in front of matrixos.lifecycle/1: counts the wakes that it passes on, and wakes nobody called bob.
#include <matrixos/lifecycle.hpp>
#include <matrixos/plugin.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <string>

namespace {

constexpr mos_provide kProvides[] = {{MOS_LIFECYCLE_1, nullptr, MOS_LIFECYCLE_1_MINOR, 0}};
constexpr mos_need kNeeds[] = {{MOS_LIFECYCLE_1 ":base", 0, 0}};

class Chaperone : public matrixos::Plugin, private matrixos::Lifecycle {
public:
  explicit Chaperone(const mos_host_v1 *host) : services_(host), routes_(host) {}

  void start() override {
    base_.emplace(services_.acquire<mos_lifecycle_v1>(MOS_LIFECYCLE_1, "base"));
    routes_.add(
        "GET", "/chaperone", MOS_PERMISSION_OPERATOR, "How many wakes it saw",
        [this](matrixos::Exchange &exchange) { exchange.json(200, R"({"wakes":)" + std::to_string(wakes_) + "}"); });
    routes_.publish();
    services_.provide(MOS_LIFECYCLE_1, "", table());
  }
  void stop() override {}

private:
  std::uint64_t ensureRunning(const matrixos::Call &call, std::string_view handle, std::string_view endpoint,
                              matrixos::Completion &done) override {
    if (handle == "bob") throw matrixos::Error(matrixos::Status::Unavailable, "bob sleeps in", "CHAPERONE");
    ++wakes_;
    auto later = std::make_shared<matrixos::Completion>(std::move(done));
    return base_->ensureRunning(call.abi(), handle, endpoint, [later](const matrixos::Outcome &outcome) {
      outcome.error != nullptr ? later->fail(*outcome.error) : later->succeed(outcome.json);
    });
  }
  void forget(std::uint64_t ticket) override { base_->forget(ticket); }
  void reportActivity(const mos_activity *items, std::uint32_t count) override { base_->reportActivity(items, count); }
  std::string describe(std::string_view handle) override { return base_->describe(handle); }
  void reportOpen(const mos_str *handles, std::uint32_t count) override { base_->reportOpen(handles, count); }

  matrixos::Services services_;
  matrixos::Routes routes_;
  std::optional<matrixos::LifecycleClient> base_;
  std::atomic<int> wakes_{0};
};

} // namespace

MATRIXOS_PLUGIN(Chaperone, matrixos::Descriptor("chaperone", "Chaperone", "1.0.0")
                               .vendor("Example")
                               .license("MIT")
                               .description("Stands in front of the lifecycle.")
                               .provides(kProvides)
                               .needs(kNeeds))
