/// matrixos/cache_line.hpp: what threads write to all the time stands apart.
#pragma once

#include <cstddef>

namespace matrixos {
inline namespace v1 {

/// What two threads write to shares no line of the processor's cache if it is aligned to this.
#ifdef __SANITIZE_ADDRESS__
// GCC's AddressSanitizer aligns local variables to 32 bytes at most (GCC bug 110027, mended in 13.3).
inline constexpr std::size_t kCacheLine = 32;
#else
inline constexpr std::size_t kCacheLine = 64;
#endif

} // namespace v1
} // namespace matrixos
