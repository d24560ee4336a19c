// Provides example.desk/1 in the daemon.
#include "services/DeskProvider.h"

#include <matrixos/plugin.hpp>

namespace {

MOS_DESCRIBE_SERVICE(kDesk, EXAMPLE_DESK_1, EXAMPLE_DESK_1_MINOR, EXAMPLE_DESK_1_FUNCTIONS)
constexpr const mos_service_v1 *kServices[] = {&kDesk};
constexpr mos_provide kProvides[] = {{EXAMPLE_DESK_1, nullptr, EXAMPLE_DESK_1_MINOR, 0}};

class FakeDesk : public matrixos::Plugin {
public:
  explicit FakeDesk(const mos_host_v1 *host) : services_(host) {}
  void start() override { services_.provide(EXAMPLE_DESK_1, "", desk_.table()); }
  void stop() override { services_.withdraw(EXAMPLE_DESK_1, ""); }

private:
  const matrixos::Services services_;
  matrixos::test::DeskProvider desk_;
};

} // namespace

MATRIXOS_PLUGIN(
    FakeDesk,
    matrixos::Descriptor("fake-desk", "Desk", "1.0.0").vendor("Tests").provides(kProvides).services(kServices))
