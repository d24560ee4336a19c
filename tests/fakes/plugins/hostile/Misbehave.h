/// What hostile plugins do to a daemon.
#pragma once

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

namespace hostile {

// Not inlined and with a use of its result, so that the compiler keeps it a recursion.
[[gnu::noinline]] inline int overflowStack(volatile char *before, std::uint64_t left) {
  volatile char frame[4096];
  frame[0] = *before;
  return left == 0 ? 0 : overflowStack(frame, left - 1) + frame[0];
}

/// Does what the word says and, mostly, does not return: "throw", "throw-int", "hang", "doze" (0.7 s), "slow" (4 s),
/// "segv", "abort", "overflow", "exit", "_exit". Nothing for other words.
inline void misbehave(const std::string &fault) {
  if (fault == "throw") throw std::runtime_error("thrown on purpose");
  if (fault == "throw-int") throw 42;
  if (fault == "hang") {
    for (;;)
      std::this_thread::sleep_for(std::chrono::hours{1});
  }
  if (fault == "doze") std::this_thread::sleep_for(std::chrono::milliseconds{700});
  if (fault == "slow") std::this_thread::sleep_for(std::chrono::seconds{4});
  if (fault == "segv") {
    volatile std::uintptr_t nowhere = 0x10;         // the optimiser must not see where it points
    *reinterpret_cast<volatile int *>(nowhere) = 1; // NOLINT(performance-no-int-to-ptr): on purpose
  }
  if (fault == "abort") std::abort();
  if (fault == "overflow") {
    volatile char start = 0;
    overflowStack(&start, UINT64_MAX);
  }
  if (fault == "exit") std::exit(3); // NOLINT(concurrency-mt-unsafe): on purpose
  if (fault == "_exit") ::_exit(3);
}

} // namespace hostile
