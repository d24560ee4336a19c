#pragma once

#include "common/ServiceDescription.h"
#include "isolation/CallTable.h"

#include <cstdint>

namespace matrixos::isolation {

/// A service of a plugin in another process, for Services::provideForwarder(). Lives as long as it is provided.
class RemoteService {
public:
  /// `slot`: which of the descriptor's provides.
  RemoteService(CallTable &calls, std::uint16_t slot, const common::ServiceDescription &service) noexcept;
  RemoteService(const RemoteService &) = delete;
  RemoteService &operator=(const RemoteService &) = delete;

  mos_forwarder_v1 *forwarder() noexcept { return &forwarder_; }

private:
  struct Forwarder : mos_forwarder_v1 {
    RemoteService *service;
  };

  mos_status call(std::size_t number, void *const *args) noexcept;

  CallTable &calls_;
  const std::uint16_t slot_;
  const common::ServiceDescription &service_;
  Forwarder forwarder_{};
};

} // namespace matrixos::isolation
