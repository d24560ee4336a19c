/// http/client/PercentEncoding.h: text as part of a target.
#pragma once

#include <string>
#include <string_view>

namespace matrixos::http {

/// Percent-encodes every byte that is not unreserved (RFC 3986 §2.3), so that any text can be a segment of a path, or a
/// name or value in a query.
std::string percentEncode(std::string_view text);

} // namespace matrixos::http
