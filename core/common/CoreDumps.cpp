#include "common/CoreDumps.h"

#include <sys/prctl.h>
#include <sys/resource.h>

namespace matrixos::common {

void forbidCoreDumps() noexcept {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  // A core_pattern that names a program gets dumps whatever the limit says (core(5)).
  ::prctl(PR_SET_DUMPABLE, 0);
}

} // namespace matrixos::common
