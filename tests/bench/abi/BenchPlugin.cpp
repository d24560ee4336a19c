// The runtime of bench-abi as a plugin, for its measurements across a process border.
#include "BenchRuntime.h"

#include <matrixos/plugin.hpp>

namespace {

class BenchPlugin : public matrixos::Plugin {
public:
  explicit BenchPlugin(const mos_host_v1 *host) : services_(host) {}
  void start() override { services_.provide(MOS_RUNTIME_1, "bench", runtime_.table()); }
  void stop() override { services_.withdraw(MOS_RUNTIME_1, "bench"); }

private:
  const matrixos::Services services_;
  matrixos::bench::BenchRuntime runtime_;
};

constexpr mos_provide kProvides[] = {{MOS_RUNTIME_1, "bench", MOS_RUNTIME_1_MINOR, 0}};

} // namespace

MATRIXOS_PLUGIN(BenchPlugin, matrixos::Descriptor("bench-runtime", "Runtime that does nothing", "1.0.0")
                                 .vendor("Benchmarks")
                                 .provides(kProvides))
