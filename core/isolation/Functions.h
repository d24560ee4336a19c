/// The functions of a plugin that can be called in its process.
#pragma once

#include "common/ServiceDescription.h"

#include <cstdint>

namespace matrixos::isolation {

/// Whether a call that was in a process when that died may be made again in the next one. README.md argues each.
enum class Repeat : std::uint8_t {
  Never,           ///< it ends MOS_UNAVAILABLE
  Always,          ///< it only reads, or reaches a state that it may find reached
  BeforeFirstItem, ///< a stream of which the caller has seen nothing yet
  WithOperationId, ///< a mutation that takes effect once by its operation id
};

/// What a call has to know of its function.
struct Function {
  std::uint8_t number; ///< on the wire
  const char *name;    ///< for messages and crash notes, whose writer cannot add the brackets; static
  Repeat repeat;
  bool streams = false; ///< its items are all that it gives: a caller who has had enough of them is content
  bool lists = false;   ///< they come at once, and then it ends
};

inline constexpr Function kStart{0, "start() of the plugin", Repeat::Never};
constexpr Function kStop{1, "stop() of the plugin", Repeat::Never};
constexpr Function kReconfigure{2, "reconfigure()", Repeat::Always};
constexpr Function kDeliver{3, "a delivery from the outbox", Repeat::Never};
/// On the wire the functions of a service follow, in the order of its table.
constexpr std::uint8_t kFirstOfService = 4;

/// The function of a service with that number in its table.
Function functionOf(const common::ServiceDescription &service, std::size_t number) noexcept;

} // namespace matrixos::isolation
