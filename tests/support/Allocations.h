#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

namespace matrixos::test {

/// How often the current thread has allocated. In one source file of a program: it replaces operator new there. Counts
/// nothing under sanitizers, which have one of their own.
inline thread_local std::size_t allocations = 0;

} // namespace matrixos::test

#ifndef MATRIXOS_INSTRUMENTED
// Not inline, or the compiler sees malloc() meet delete.
[[gnu::noinline]] void *operator new(std::size_t size) {
  ++matrixos::test::allocations;
  if (void *memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void *memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void *memory, std::size_t) noexcept {
  std::free(memory);
}
#endif
