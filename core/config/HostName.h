#pragma once

#include <string_view>

namespace matrixos::config {

/// Labels of letters, digits and dashes between dots, as names travel in DNS (RFC 1123 §2.1), without a dot at the end.
/// `underscores`: allowed too, as in names of containers.
bool isHostName(std::string_view text, bool underscores = false) noexcept;

/// Why the text is no bare domain, one that host names may be compared with and made of; null when it is one. Letters
/// beyond ASCII are expected in their xn-- form (RFC 5890).
const char *whyNoDomain(std::string_view text) noexcept;

} // namespace matrixos::config
