#include "ErrorAnswer.h"

#include <matrixos/text/json_quote.hpp>

#include <algorithm>

namespace matrixos::gateway {

std::string errorJson(std::string_view type, std::string_view message, std::string_view requestId) {
  std::string out = R"({"type":"error","error":{"type":)";
  appendJsonString(out, type);
  out += R"(,"message":)";
  appendJsonString(out, message);
  out += R"(},"request_id":)";
  appendJsonString(out, requestId);
  return out += '}';
}

std::string_view errorType(int status) noexcept {
  switch (status) {
  case 401:
    return "authentication_error";
  case 403:
    return "permission_error";
  case 404:
    return "not_found_error";
  case 413:
    return "request_too_large";
  case 429:
    return "rate_limit_error";
  case 504:
    return "timeout_error";
  case 503:
  case 529:
    return "overloaded_error";
  default:
    return status < 500 ? "invalid_request_error" : "api_error";
  }
}

std::string retryAfter(std::int64_t ms) {
  return std::to_string(std::max<std::int64_t>(1, (ms + 999) / 1000));
}

} // namespace matrixos::gateway
