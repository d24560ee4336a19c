/// http/codec/Problem.h: failures that a client is told about (RFC 9457).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::http {

inline constexpr std::string_view kProblemType = "application/problem+json";

/// A failure, in words for people and for programs.
struct Problem {
  int status = 500;
  std::string message;                                       ///< a sentence for people
  std::string reason;                                        ///< stable UPPER_SNAKE_CASE word, or empty
  std::int64_t retryAfterMs = 0;                             ///< becomes Retry-After; 0: none
  std::vector<std::pair<std::string, std::string>> fields{}; ///< further response fields, such as Allow
};

/// {"type":"about:blank","title","status","detail","error","reason"?,"requestId"?} and a line feed. `error` repeats the
/// sentence under the name that clients of the original API look for.
std::string problemJson(const Problem &problem, std::string_view requestId = {});

/// The problem's own fields and Retry-After, in whole seconds, rounded up.
std::vector<std::pair<std::string, std::string>> problemFields(const Problem &problem);

} // namespace matrixos::http
