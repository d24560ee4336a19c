#include "isolation/host/CrashReporter.h"

#include "common/SignalStack.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace matrixos::isolation::host {

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

} // namespace

void CrashReporter::install(int fd) noexcept {
  if (kSanitized) return;
  noteFd = fd;
  struct sigaction action {};
  action.sa_handler = &onFatal;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_ONSTACK);
  for (const int signal : kFatal)
    ::sigaction(signal, &action, nullptr);
}

CrashReporter::Scope::Scope(const char *function) noexcept : before_(here) {
  common::ensureSignalStack();
  here = function;
}

CrashReporter::Scope::~Scope() {
  here = before_;
}

} // namespace matrixos::isolation::host
