// A provider of identities for what no bundled plugin says yet: "Bearer plate-NAME" is the instance NAME.
#include <matrixos/identity.hpp>
#include <matrixos/plugin.hpp>

#include <string>

namespace {

constexpr mos_provide kProvides[] = {{MOS_IDENTITY_1, "plate", MOS_IDENTITY_1_MINOR, 0}};

class Plate : public matrixos::Plugin, private matrixos::Identity {
public:
  explicit Plate(const mos_host_v1 *host) : services_(host) {}
  void start() override { services_.provide(MOS_IDENTITY_1, "plate", table()); }
  void stop() override {}

private:
  matrixos::Principal identify(const matrixos::IdentityRequest &request) override {
    constexpr std::string_view kScheme = "Bearer plate-";
    const std::string_view field = request.header("authorization");
    if (field.substr(0, kScheme.size()) != kScheme) return matrixos::Principal::unknown();
    thread_local std::string id;
    id = "instance:" + std::string(field.substr(kScheme.size()));
    return matrixos::Principal::instance(id);
  }

  matrixos::Services services_;
};

} // namespace

MATRIXOS_PLUGIN(Plate, matrixos::Descriptor("plate", "Plate", "1.0.0")
                           .vendor("Example")
                           .license("MIT")
                           .description("Knows instances by what is on their plates.")
                           .provides(kProvides))
