/// The functions of a plugin that can be called in its process.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace matrixos::isolation {

/// Numbers on the wire; the order of kFunctions.
enum class Function : std::uint8_t {
  Start,
  Stop,
  Reconfigure,
  Capabilities,
  Pull,
  Create,
  StartInstance,
  StopInstance,
  Remove,
  Inspect,
  List,
  Logs,
  Stats,
  Pause,
  Unpause,
  Events,
  VolumeEnsure,
  VolumeTrash,
  VolumeSnapshot,
  Endpoints,
  StartDescribed,
  VolumeRemoveIfEmpty,
};

/// Whether a call that was in a process when that died may be made again in the next one. README.md argues each.
enum class Repeat : std::uint8_t {
  Never,           ///< it ends MOS_UNAVAILABLE
  Always,          ///< it only reads, or reaches a state that it may find reached
  BeforeFirstItem, ///< a stream of which the caller has seen nothing yet
  WithOperationId, ///< a mutation that takes effect once by its operation id
};

struct FunctionInfo {
  const char *name; ///< for messages and crash notes, whose writer cannot add the brackets
  Repeat repeat;
};

constexpr std::array<FunctionInfo, 22> kFunctions{{
    {"start() of the plugin", Repeat::Never},
    {"stop() of the plugin", Repeat::Never},
    {"reconfigure()", Repeat::Always},
    {"capabilities()", Repeat::Always},
    {"pull()", Repeat::Always},
    {"create()", Repeat::WithOperationId},
    {"start()", Repeat::WithOperationId},
    {"stop()", Repeat::WithOperationId},
    {"remove()", Repeat::WithOperationId},
    {"inspect()", Repeat::Always},
    {"list()", Repeat::BeforeFirstItem},
    {"logs()", Repeat::BeforeFirstItem},
    {"stats()", Repeat::Always},
    {"pause()", Repeat::WithOperationId},
    {"unpause()", Repeat::WithOperationId},
    {"events()", Repeat::Never},
    {"volume_ensure()", Repeat::WithOperationId},
    {"volume_trash()", Repeat::WithOperationId},
    {"volume_snapshot()", Repeat::WithOperationId},
    {"endpoints()", Repeat::Always},
    {"start_described()", Repeat::WithOperationId},
    {"volume_remove_if_empty()", Repeat::WithOperationId},
}};

constexpr const FunctionInfo &infoOf(Function function) {
  return kFunctions[static_cast<std::size_t>(function)];
}

} // namespace matrixos::isolation
