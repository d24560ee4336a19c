#include "isolation/RemoteService.h"

#include "isolation/Arguments.h"

#include <matrixos/status.hpp>

namespace matrixos::isolation {

RemoteService::RemoteService(CallTable &calls, std::uint16_t slot, const common::ServiceDescription &service) noexcept
    : calls_(calls), slot_(slot), service_(service) {
  forwarder_.service = this;
  forwarder_.call = [](mos_forwarder_v1 *self, std::uint32_t number, void *const *args) {
    return static_cast<Forwarder *>(self)->service->call(number, args);
  };
}

mos_status RemoteService::call(std::size_t number, void *const *args) noexcept {
  auto *error = common::argumentAt<mos_error *>(args, service_.functions[number].parameters.size());
  return guarded(error, [&] {
    const Arguments arguments(service_, number, slot_, args);
    return calls_.run(arguments.request, arguments.call, error);
  });
}

} // namespace matrixos::isolation
