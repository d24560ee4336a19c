// A plugin that has things of its own recorded: POST /desk/record waits for the log, POST /desk/note does not; the body
// is the event.
#include <matrixos/audit.hpp>
#include <matrixos/plugin.hpp>

#include <memory>
#include <optional>

namespace {

constexpr mos_need kNeeds[] = {{MOS_AUDIT_1, 0, MOS_NEED_OPTIONAL}};

class Desk : public matrixos::Plugin {
public:
  explicit Desk(const mos_host_v1 *host) : services_(host), routes_(host) {}
  void start() override {
    audit_.emplace(services_.acquire<mos_audit_v1>(MOS_AUDIT_1, "audit"));
    routes_.add("POST", "/desk/record", MOS_PERMISSION_OPERATOR, "Has an event recorded",
                [this](matrixos::Exchange &exchange) {
                  auto held = std::make_shared<matrixos::Exchange>(std::move(exchange));
                  audit_->record(nullptr, held->body(), [held](const matrixos::Outcome &outcome) {
                    if (outcome.error != nullptr)
                      held->fail(*outcome.error);
                    else
                      held->json(200, "{}");
                  });
                });
    routes_.add("POST", "/desk/note", MOS_PERMISSION_OPERATOR, "Has an event noted",
                [this](matrixos::Exchange &exchange) {
                  audit_->note(exchange.body());
                  exchange.json(200, "{}");
                });
    routes_.publish();
  }
  void stop() override {}

private:
  matrixos::Services services_;
  matrixos::Routes routes_;
  std::optional<matrixos::AuditClient> audit_;
};

} // namespace

MATRIXOS_PLUGIN(Desk, matrixos::Descriptor("desk", "Desk", "1.0.0")
                          .vendor("Example")
                          .license("MIT")
                          .description("Has things recorded.")
                          .needs(kNeeds))
