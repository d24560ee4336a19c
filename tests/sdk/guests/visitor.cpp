// Uses example.greeter/1 and example.abacus/1 and shows over HTTP what it sees of them.
#include "abacus.h"
#include "greeter.h"

#include <matrixos/call.hpp>
#include <matrixos/plugin.hpp>

#include <atomic>
#include <string>

namespace {

MOS_DESCRIBE_SERVICE(kGreeter, EXAMPLE_GREETER_1, EXAMPLE_GREETER_1_MINOR, EXAMPLE_GREETER_1_FUNCTIONS)
MOS_DESCRIBE_SERVICE(kAbacus, EXAMPLE_ABACUS_1, EXAMPLE_ABACUS_1_MINOR, EXAMPLE_ABACUS_1_FUNCTIONS)
constexpr mos_need kNeeds[] = {{EXAMPLE_GREETER_1, 0, 0}, {EXAMPLE_ABACUS_1, 0, MOS_NEED_OPTIONAL}};
constexpr const mos_service_v1 *kServices[] = {&kGreeter, &kAbacus};

class Visitor : public matrixos::Plugin {
public:
  explicit Visitor(const mos_host_v1 *host) : services_(host), events_(host), routes_(host) {}

  void start() override {
    greeter_ = services_.lease<example_greeter_v1>(EXAMPLE_GREETER_1);
    try {
      abacus_ = services_.lease<example_abacus_v1>(EXAMPLE_ABACUS_1);
    } catch (const matrixos::Error &) { // optional, and not there
    }
    const example_listener listener{this, [](void *ctx, mos_str) { ++static_cast<Visitor *>(ctx)->heard_; }};
    matrixos::check([&](mos_error *error) {
      return greeter_->listen(greeter_->self, 0, matrixos::toAbi(""), listener, &watch_, error);
    });
    events_.subscribe("service.", [this](std::string_view topic, std::string_view json) {
      if (json.find(EXAMPLE_GREETER_1) == std::string_view::npos) return;
      topic == MOS_EVENT_SERVICE_PROVIDED ? ++came_ : ++went_;
    });
    routes_.add("GET", "/visitor/greet/:name", MOS_PERMISSION_OPERATOR, "Greets", [this](matrixos::Exchange &exchange) {
      const matrixos::CallScope call(std::chrono::milliseconds{500});
      matrixos::Buffer out;
      matrixos::check([&](mos_error *error) {
        return greeter_->greet(greeter_->self, call.abi(), matrixos::toAbi(exchange.param("name")), 1, out.out(),
                               error);
      });
      exchange.json(200, out.str());
    });
    routes_.add("GET", "/visitor/add/:a/:b", MOS_PERMISSION_OPERATOR, "Adds", [this](matrixos::Exchange &exchange) {
      const matrixos::CallScope call(std::chrono::seconds{20});
      matrixos::Buffer out;
      const std::int64_t a = std::stoll(std::string(exchange.param("a"))),
                         b = std::stoll(std::string(exchange.param("b")));
      matrixos::check(
          [&](mos_error *error) { return abacus_->add(abacus_->self, call.abi(), a, b, out.out(), error); });
      exchange.json(200, out.str());
    });
    routes_.add(
        "GET", "/visitor/all", MOS_PERMISSION_OPERATOR, "Counts for ever", [this](matrixos::Exchange &exchange) {
          const matrixos::CallScope call(std::chrono::milliseconds{200});
          matrixos::Buffer out;
          matrixos::check([&](mos_error *error) { return abacus_->all(abacus_->self, call.abi(), out.out(), error); });
          exchange.json(200, out.str());
        });
    routes_.add("GET", "/visitor/seen", MOS_PERMISSION_OPERATOR, "What it heard", [this](matrixos::Exchange &exchange) {
      exchange.json(200, R"({"heard":)" + std::to_string(heard_) + R"(,"came":)" + std::to_string(came_) +
                             R"(,"went":)" + std::to_string(went_) + "}");
    });
    routes_.publish();
  }

  void stop() override {
    greeter_->unlisten(greeter_->self, watch_, nullptr);
    greeter_.reset();
    abacus_.reset();
  }

private:
  matrixos::Services services_;
  matrixos::Events events_;
  matrixos::Routes routes_;
  std::shared_ptr<const example_greeter_v1> greeter_;
  std::shared_ptr<const example_abacus_v1> abacus_;
  std::uint64_t watch_ = 0;
  std::atomic<int> heard_{0}, came_{0}, went_{0};
};

} // namespace

MATRIXOS_PLUGIN(Visitor, matrixos::Descriptor("visitor", "Visitor", "1.0.0")
                             .vendor("Example")
                             .license("MIT")
                             .description("Uses the services of others.")
                             .needs(kNeeds)
                             .services(kServices))
