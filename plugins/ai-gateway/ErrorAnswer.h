/// Refusals in the shape that clients of the Messages API read.
#pragma once

#include <http/engine/Session.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace matrixos::gateway {

/// Why a request is not served. The types are Anthropic's.
struct ErrorAnswer {
  int status = 500;
  std::string_view type = "api_error"; ///< static text
  std::string message;
  http::FieldPairs fields{};   ///< such as retry-after
  std::int64_t resetsAtMs = 0; ///< wall clock, of the spend limit that refused; 0: none did
};

/// {"type":"error","error":{"type","message"},"request_id"}.
std::string errorJson(std::string_view type, std::string_view message, std::string_view requestId);

/// The usual type of a status: "authentication_error" for 401.
std::string_view errorType(int status) noexcept;

/// What retry-after says of a time in milliseconds: whole seconds, one at least.
std::string retryAfter(std::int64_t ms);

} // namespace matrixos::gateway
