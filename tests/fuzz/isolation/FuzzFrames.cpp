// What the daemon reads from a plugin's process, and the process from the daemon.
#include "fuzz/isolation/Checks.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  matrixos::isolation::fuzz::checkFrames({reinterpret_cast<const char *>(data), size});
  return 0;
}
