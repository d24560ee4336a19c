// What the daemon and matrixosctl take from a descriptor that another process read.
#include "fuzz/commands/Checks.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  matrixos::common::fuzz::checkCommands({reinterpret_cast<const char *>(data), size});
  return 0;
}
