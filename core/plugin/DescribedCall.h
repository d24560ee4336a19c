#pragma once

#include "common/ServiceDescription.h"
#include "plugin/WatchedCall.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string>

namespace matrixos::plugin {

/// Calls the provider's function with that number; `args` as for mos_forwarder_v1.call. MOS_UNIMPLEMENTED when the
/// provider has none. On the caller's thread.
mos_status callDescribed(const ServiceProvider &provider, const common::ServiceFunction &function, std::size_t number,
                         void *const *args, mos_error *error);

/// A WatchedCall of a described function, with copies of its arguments.
class DescribedCall final : public WatchedCall {
public:
  DescribedCall(std::shared_ptr<ServiceProvider> provider, const ServiceConsumer &consumer,
                const common::ServiceFunction &function, std::size_t number, void *const *args);

private:
  mos_status invoke(const ServiceProvider &provider) override;

  const common::ServiceFunction &function_;
  const std::size_t number_;
  std::array<std::string, MOS_MOST_PARAMETERS> texts_;
  std::array<common::ServiceValue, MOS_MOST_PARAMETERS> values_{};
};

} // namespace matrixos::plugin
