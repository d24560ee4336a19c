#pragma once

namespace matrixos::common {

/// Nothing of this process's memory reaches a disk when it crashes, and no other process of its user may look into it:
/// it holds the platform's secret and tenants' requests. Programs that it runs keep the limit. For main(), before
/// anything is read.
void forbidCoreDumps() noexcept;

} // namespace matrixos::common
