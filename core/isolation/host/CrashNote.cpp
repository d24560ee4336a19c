#include "isolation/host/CrashNote.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace matrixos::isolation {

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

constexpr std::array kFatal{SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};

thread_local const char *here = nullptr;
int noteFd = -1;

/// Runs on the alternate stack where the thread has one, so that an overflowed stack can be named too.
void onFatal(int signal) {
  const char *const where = here != nullptr ? here : "a thread of its own";
  [[maybe_unused]] const ssize_t ignored = ::write(noteFd, where, std::strlen(where));
  ::raise(signal); // SA_RESETHAND: the default action, once this returns
}

/// Freed with the thread.
struct SignalStack {
  char bytes[16384];
  SignalStack() {
    stack_t stack{};
    stack.ss_sp = bytes;
    stack.ss_size = sizeof bytes;
    ::sigaltstack(&stack, nullptr);
  }
  ~SignalStack() {
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    ::sigaltstack(&none, nullptr);
  }
};

} // namespace

void CrashNote::install(int fd) noexcept {
  if (kSanitized) return;
  noteFd = fd;
  struct sigaction action {};
  action.sa_handler = &onFatal;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_ONSTACK);
  for (const int signal : kFatal)
    ::sigaction(signal, &action, nullptr);
}

CrashNote::CrashNote(const char *function) noexcept : before_(here) {
  if (!kSanitized) {
    thread_local SignalStack stack;
    static_cast<void>(stack);
  }
  here = function;
}

CrashNote::~CrashNote() {
  here = before_;
}

} // namespace matrixos::isolation
