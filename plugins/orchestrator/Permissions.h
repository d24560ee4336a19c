/// Who may use the plugin's routes; see MOS_PERMISSION_… in abi/host.h.
#pragma once

namespace matrixos::orchestrator {

inline constexpr const char *kMayList = "signed-in|operator:instances:read";
inline constexpr const char *kMayLook = "owner:use|operator:instances:read";
inline constexpr const char *kMayManage = "owner:manage|operator:instances:write";
inline constexpr const char *kMayDestroy = "owner|operator:instances:write";
// What is nobody's own.
inline constexpr const char *kReader = "operator:instances:read";
inline constexpr const char *kWriter = "operator:instances:write";

} // namespace matrixos::orchestrator
