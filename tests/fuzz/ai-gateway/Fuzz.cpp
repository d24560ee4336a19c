// What a stranger writes, byte by byte.
#include "fuzz/ai-gateway/Checks.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  matrixos::gateway::fuzz::CHECK({reinterpret_cast<const char *>(data), size});
  return 0;
}
