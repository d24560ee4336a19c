// A StampedInstance as a program, with the environment that every instance is given.
#include "StampedInstance.h"

#include <csignal>
#include <cstdlib>

int main() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  matrixos::test::StampedInstance instance(std::getenv("MATRIX_HANDLE"));
  instance.listen(bench::parsePort(std::getenv("SHELL_PORT")), bench::parsePort(std::getenv("PORT")));
  int signal = 0;
  sigwait(&signals, &signal);
  std::_Exit(0); // in the middle of what it says, as a process that is stopped does
}
