#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace matrixos::simulated {

/// The functions of matrixos.runtime/1, in the order of its table; start_described() is a Start.
enum class CallKind : std::uint8_t {
  Capabilities,
  Pull,
  Create,
  Start,
  Stop,
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
  VolumeRemoveIfEmpty,
};

/// As they are called in abi/runtime.h, in fault scripts and in metrics.
constexpr std::array<std::string_view, 18> kCallNames{
    "capabilities", "pull",          "create",       "start",           "stop",      "remove",
    "inspect",      "list",          "logs",         "stats",           "pause",     "unpause",
    "events",       "volume_ensure", "volume_trash", "volume_snapshot", "endpoints", "volume_remove_if_empty"};

constexpr std::size_t indexOf(CallKind kind) noexcept {
  return static_cast<std::size_t>(kind);
}
constexpr std::string_view nameOf(CallKind kind) noexcept {
  return kCallNames[indexOf(kind)];
}
constexpr std::optional<CallKind> callNamed(std::string_view name) noexcept {
  for (std::size_t i = 0; i < kCallNames.size(); ++i) {
    if (kCallNames[i] == name) return static_cast<CallKind>(i);
  }
  return std::nullopt;
}

} // namespace matrixos::simulated
