#pragma once

namespace matrixos::common {

namespace detail {
extern constinit thread_local bool hasSignalStack;
void makeSignalStack() noexcept;
} // namespace detail

/// Gives the current thread a stack for signal handlers (sigaltstack(2)), so that one that overflowed its own stack can
/// still be reported. Does nothing when the thread has such a stack already, as under a sanitizer, and nothing when
/// there is no memory. The stack is freed with the thread.
inline void ensureSignalStack() noexcept {
  if (!detail::hasSignalStack) detail::makeSignalStack();
}

} // namespace matrixos::common
