/// matrixos/host/platform.hpp: facts about the daemon, abi/host.h mos_host_platform_v1.
#pragma once

#include <matrixos/abi/host.h>
#include <matrixos/call.hpp>
#include <matrixos/host/table.hpp>

#include <string>
#include <string_view>

namespace matrixos {
inline namespace v1 {

/// Facts about the daemon.
class Platform {
public:
  explicit Platform(const mos_host_v1 *host)
      : table_(detail::hostTable<mos_host_platform_v1>(host, MOS_HOST_PLATFORM_1)) {}

  /// JSON, see abi/host.h.
  std::string info() const {
    Buffer out;
    check([&](mos_error *e) { return table_->info(table_->self, out.out(), e); });
    return out.str();
  }
  /// An empty reason: all is well again.
  void setDegraded(std::string_view reason) const noexcept {
    table_->set_degraded(table_->self, toAbi(reason), nullptr);
  }

private:
  const mos_host_platform_v1 *table_;
};

} // namespace v1
} // namespace matrixos
