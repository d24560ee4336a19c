#pragma once

#include <string_view>

namespace matrixos::gateway::fuzz {

/// Each throws std::logic_error when what it reads comes out in a way that it must not; a refusal is no failure.

/// An answer, streamed and not: the same in one piece and in many, a cost that is neither negative nor nothing, and,
/// once settled, never above the most that the call can cost.
void usage(std::string_view bytes);
/// The body of a request: what is taken is JSON that a tree of it says the same of.
void request(std::string_view bytes);
/// A file of prices.
void prices(std::string_view bytes);

} // namespace matrixos::gateway::fuzz
