// An identity provider: "Bearer badge-NAME" is the user NAME, who owns the instance of that name.
#include <matrixos/identity.hpp>
#include <matrixos/plugin.hpp>

#include <string>

namespace {

constexpr mos_provide kProvides[] = {{MOS_IDENTITY_1, "badge", MOS_IDENTITY_1_MINOR, 0}};

class Badge : public matrixos::Plugin, private matrixos::Identity {
public:
  explicit Badge(const mos_host_v1 *host) : services_(host), routes_(host) {}
  void start() override {
    const auto whoAmI = [](matrixos::Exchange &exchange) {
      exchange.json(200, R"({"principal":")" + std::string(exchange.principal()) + "\"}");
    };
    routes_.add("GET", "/badge", MOS_PERMISSION_SIGNED_IN, "Who asks", whoAmI);
    routes_.add("GET", "/badge/:handle", MOS_PERMISSION_OWNER, "Who asks about an instance of his", whoAmI);
    routes_.publish();
    services_.provide(MOS_IDENTITY_1, "badge", table());
  }
  void stop() override {}

private:
  using Principal = matrixos::Principal;

  Principal identify(const matrixos::IdentityRequest &request) override {
    constexpr std::string_view kScheme = "Bearer badge-";
    const std::string_view badge = request.header("authorization");
    if (badge.substr(0, kScheme.size()) != kScheme) return Principal::unknown();
    if (badge == "Bearer badge-stolen") return Principal::refused(401, "this badge was stolen");
    if (badge == "Bearer badge-later") return Principal::pending();
    const std::string_view name = badge.substr(kScheme.size());
    thread_local std::string id;
    id = "user:" + std::string(name);
    thread_local std::string shares;
    shares = name == "guest" ? R"({"alice":"use"})" : "";
    if (name == "popular") shares = manyShares();
    return Principal::user(id, name == request.handle() ? MOS_ROLE_OWNER : MOS_ROLE_NONE, shares);
  }
  void findOut(const matrixos::Call &, const matrixos::IdentityRequest &, matrixos::Completion &done) override {
    done.succeed(Principal::user("user:later", MOS_ROLE_NONE).json());
  }

  /// What others share with one whom everybody knows.
  static std::string manyShares() {
    std::string shares;
    for (int i = 10'000; i < 15'000; ++i)
      shares += (shares.empty() ? "{" : ",") + ("\"user-" + std::to_string(i) + "\":\"use\"");
    return shares + "}";
  }

  matrixos::Services services_;
  matrixos::Routes routes_;
};

} // namespace

MATRIXOS_PLUGIN(Badge, matrixos::Descriptor("badge", "Badge", "1.0.0")
                           .vendor("Example")
                           .license("MIT")
                           .description("Knows people by their badges.")
                           .provides(kProvides))
