// A token as a stranger posts it, and a key as an issuer publishes it.
#include "fuzz/identity/Checks.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  matrixos::identity::fuzz::checkToken({reinterpret_cast<const char *>(data), size});
  return 0;
}
