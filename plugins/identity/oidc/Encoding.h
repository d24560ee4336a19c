#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::identity {

/// base64url without padding, as JSON Web Tokens have it (RFC 7515 §2).
std::string base64Url(std::string_view bytes);
/// The bytes behind it; nothing for padding, other characters and stray bits.
std::optional<std::string> fromBase64Url(std::string_view text);

/// 32 bytes.
std::string sha256(std::string_view bytes);
/// 64 bytes.
std::string sha512(std::string_view bytes);
/// A text of 256 random bits, base64url. Throws Error(Unavailable) when the system has no randomness.
std::string randomText();

/// application/x-www-form-urlencoded, which is also a query.
std::string formEncode(const std::vector<std::pair<std::string, std::string>> &fields);
/// What formEncode() takes, in its order; nothing for what is no such text.
std::optional<std::multimap<std::string, std::string>> formDecode(std::string_view text);

} // namespace matrixos::identity
