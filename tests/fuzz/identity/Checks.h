#pragma once

#include <string_view>

namespace matrixos::identity::fuzz {

/// Reads `bytes` as a token, with the key of a table that fits it, and as a JSON Web Key of its own. A refusal is no
/// failure; throws std::logic_error when something is believed that nobody signed.
void checkToken(std::string_view bytes);

} // namespace matrixos::identity::fuzz
