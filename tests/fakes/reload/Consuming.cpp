// Needs the service of "changing": GET /consuming hands on what that one says of itself, GET /steady does not ask it.
// As "leasing" it takes a service that the host does not know, and serves nothing.
#include <matrixos/lifecycle.hpp>
#include <matrixos/plugin.hpp>

#include <optional>

namespace {

class Consuming : public matrixos::Plugin {
public:
  explicit Consuming(const mos_host_v1 *host) : host_(host), routes_(host) {}

  void start() override {
#ifdef LEASING
    matrixos::Services(host_).acquire<std::uint32_t>("example.direct/1");
    return;
#endif
    provider_.emplace(matrixos::Services(host_).acquire<mos_lifecycle_v1>(MOS_LIFECYCLE_1));
    routes_.add("GET", "/consuming", MOS_PERMISSION_PUBLIC, "What the provider says of itself",
                [this](matrixos::Exchange &exchange) { exchange.json(200, provider_->describe("")); });
    routes_.add("GET", "/steady", MOS_PERMISSION_PUBLIC, "Answers whatever happens to others",
                [](matrixos::Exchange &exchange) { exchange.json(200, R"({"steady":true})"); });
    routes_.publish();
  }
  void stop() override {}

private:
  const mos_host_v1 *host_;
  matrixos::Routes routes_;
  std::optional<matrixos::LifecycleClient> provider_;
};

#ifdef LEASING
#define ID "leasing"
constexpr mos_need kNeeds[] = {{"example.direct/1", 0, 0}};
#else
#define ID "consuming"
constexpr mos_need kNeeds[] = {{MOS_LIFECYCLE_1, 0, 0}};
#endif

} // namespace

MATRIXOS_PLUGIN(Consuming, matrixos::Descriptor(ID, "Consuming", "1.0.0")
                               .vendor("Example")
                               .license("MIT")
                               .description("Uses what another plugin provides.")
                               .needs(kNeeds))
