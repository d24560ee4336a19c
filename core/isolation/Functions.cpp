#include "isolation/Functions.h"

namespace matrixos::isolation {

Function functionOf(const common::ServiceDescription &service, std::size_t number) noexcept {
  const common::ServiceFunction &function = service.functions[number];
  const bool streams = function.find('k') != std::string::npos && function.find('b') == std::string::npos;
  Repeat repeat = Repeat::Never;
  if (function.has(MOS_FUNCTION_REPEATABLE)) repeat = streams ? Repeat::BeforeFirstItem : Repeat::Always;
  if (function.has(MOS_FUNCTION_ONCE)) repeat = Repeat::WithOperationId;
  return {static_cast<std::uint8_t>(kFirstOfService + number), function.call.c_str(), repeat, streams,
          function.has(MOS_FUNCTION_LIST)};
}

} // namespace matrixos::isolation
