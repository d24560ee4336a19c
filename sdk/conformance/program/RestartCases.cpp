#include "RestartCases.h"

namespace matrixos::conformance {

std::vector<Case> restartCases(const Settings &, RemoteRuntime *) {
  return {};
}
void runRestartCases(const Settings &, const std::vector<Case> &, const Progress &) {}
int serve(const Settings &) {
  return 0;
}

} // namespace matrixos::conformance
