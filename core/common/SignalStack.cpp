#include "common/SignalStack.h"

#include <signal.h>
#include <sys/mman.h>

#include <cstddef>

namespace matrixos::common {

namespace {

class SignalStack {
public:
  SignalStack() noexcept {
    stack_t present{};
    if (::sigaltstack(nullptr, &present) != 0 || (present.ss_flags & SS_DISABLE) == 0) return; // a sanitizer's
    void *memory = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return;
    stack_t mine{};
    mine.ss_sp = memory;
    mine.ss_size = kSize;
    if (::sigaltstack(&mine, nullptr) == 0)
      memory_ = memory;
    else
      ::munmap(memory, kSize);
  }
  ~SignalStack() {
    if (memory_ == nullptr) return;
    stack_t off{};
    off.ss_flags = SS_DISABLE;
    ::sigaltstack(&off, nullptr);
    ::munmap(memory_, kSize);
  }
  SignalStack(const SignalStack &) = delete;
  SignalStack &operator=(const SignalStack &) = delete;

private:
  // The kernel's frame takes up to some 11 KiB with AVX-512.
  static constexpr std::size_t kSize = 64 * 1024;
  void *memory_ = nullptr;
};

} // namespace

constinit thread_local bool detail::hasSignalStack = false;

void detail::makeSignalStack() noexcept {
  thread_local const SignalStack stack;
  static_cast<void>(stack);
  hasSignalStack = true;
}

} // namespace matrixos::common
