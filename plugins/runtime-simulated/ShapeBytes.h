#pragma once

#include "Container.h"

#include <string>
#include <string_view>

namespace matrixos::simulated {

/// A shape as bytes: equal shapes give equal bytes. `users` and host ports are no part of it.
std::string encodeShape(const Shape &shape);
/// Throws Error(DataLoss) on bytes that are none.
Shape decodeShape(std::string_view bytes);

} // namespace matrixos::simulated
