#include "isolation/RemoteService.h"

#include <matrixos/status.hpp>

namespace matrixos::isolation {

using common::argumentAt;

RemoteService::RemoteService(CallTable &calls, std::uint16_t slot, const common::ServiceDescription &service) noexcept
    : calls_(calls), slot_(slot), service_(service) {
  forwarder_.service = this;
  forwarder_.call = [](mos_forwarder_v1 *self, std::uint32_t number, void *const *args) {
    return static_cast<Forwarder *>(self)->service->call(number, args);
  };
}

mos_status RemoteService::call(std::size_t number, void *const *args) noexcept {
  const std::string &letters = service_.functions[number].parameters;
  auto *error = argumentAt<mos_error *>(args, letters.size());
  return guarded(error, [&] {
    CallRequest request{functionOf(service_, number), slot_};
    const mos_call *call = nullptr;
    for (std::size_t i = 0; i < letters.size(); ++i) {
      switch (letters[i]) {
      case 'c':
        call = argumentAt<const mos_call *>(args, i);
        break;
      case 's':
      case 'j':
        request.texts.push_back(fromAbi(argumentAt<mos_str>(args, i)));
        break;
      case 'i':
        request.numbers.push_back(argumentAt<std::int64_t>(args, i));
        break;
      case 'u':
        request.numbers.push_back(argumentAt<std::uint32_t>(args, i));
        break;
      case 'U':
        request.numbers.push_back(static_cast<std::int64_t>(argumentAt<std::uint64_t>(args, i)));
        break;
      case 'k':
        request.sink = static_cast<const mos_sink *>(args[i]);
        break;
      default:
        request.out = argumentAt<mos_buf *>(args, i);
      }
    }
    return calls_.run(request, call, error);
  });
}

} // namespace matrixos::isolation
