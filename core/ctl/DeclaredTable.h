#pragma once

#include "common/CommandDescription.h"

namespace matrixos::ctl {

/// Prints an answer in the columns that its command declares, or with `quiet` the first of them alone. Throws Error or
/// Poco::Exception for an answer of another shape.
void printTable(const common::CommandDescription &command, json::Value answer, bool quiet);

} // namespace matrixos::ctl
