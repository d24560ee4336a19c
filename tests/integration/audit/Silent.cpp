// An audit log that takes everything and never says that it has it.
#include <matrixos/audit.hpp>
#include <matrixos/plugin.hpp>

#include <mutex>
#include <utility>
#include <vector>

namespace {

constexpr mos_provide kProvides[] = {{MOS_AUDIT_1, "silent", MOS_AUDIT_1_MINOR, 0}};

class Silent : public matrixos::Plugin, private matrixos::Audit {
public:
  explicit Silent(const mos_host_v1 *host) : services_(host) {}
  void start() override { services_.provide(MOS_AUDIT_1, "silent", table()); }
  void stop() override {}

private:
  void record(const matrixos::Call &, std::string_view, matrixos::Completion &done) override {
    const std::lock_guard lock(mutex_);
    held_.push_back(std::move(done));
  }
  void note(std::string_view) override {}

  matrixos::Services services_;
  std::mutex mutex_;
  std::vector<matrixos::Completion> held_;
};

} // namespace

MATRIXOS_PLUGIN(Silent, matrixos::Descriptor("silent", "Silent", "1.0.0")
                            .vendor("Example")
                            .license("MIT")
                            .description("Keeps what people did to itself.")
                            .provides(kProvides))
