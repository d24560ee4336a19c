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

  /// One argument, as its letter says.
  union Value {
    mos_str text;
    std::int64_t integer;
    std::uint32_t small;
    std::uint64_t number;
    mos_sink sink;
    const mos_call *call;
    mos_buf *buffer;
  };

  const common::ServiceFunction &function_;
  const std::size_t number_;
  std::array<std::string, MOS_MOST_PARAMETERS> texts_;
  std::array<Value, MOS_MOST_PARAMETERS> values_{};
};

} // namespace matrixos::plugin
