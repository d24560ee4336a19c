#pragma once

#include "Settings.h"

#include <vector>

namespace matrixos::conformance {

/// All cases that the program knows, in their order: host, those of the library, restart.
std::vector<Case> allCases(const Settings &settings);

/// The process that runs cases: gets their ids over the socket, one a line and an empty one last, and answers
/// {"begin": id} and {"result": …} for each. Ends early, with kAgain, when a call of the plugin never came back.
int runCases(const Settings &settings);
constexpr int kAgain = 75;

/// The process that a person started: lets others run the cases, outlives their crashes and hangs, and reports.
int supervise(Settings settings);

} // namespace matrixos::conformance
