#pragma once

#include "http/RequestHead.h"

#include <matrixos/status.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::api {

/// A failure that the client is told about, as application/problem+json (RFC 9457).
struct Problem {
  int status = 500;
  std::string message;           ///< a sentence for people
  std::string reason;            ///< stable UPPER_SNAKE_CASE word, or empty
  std::int64_t retryAfterMs = 0; ///< becomes Retry-After, rounded up to seconds; 0: none
  std::vector<Field> fields;     ///< further response fields, e.g. Allow, WWW-Authenticate
};

/// Thrown inside the server, answered once at its border.
class ProblemException : public std::runtime_error {
public:
  explicit ProblemException(Problem problem) : std::runtime_error(problem.message), problem_(std::move(problem)) {}
  ProblemException(int status, const std::string &message, std::string reason = {})
      : std::runtime_error(message), problem_{status, message, std::move(reason), 0, {}} {}
  const Problem &problem() const { return problem_; }

private:
  Problem problem_;
};

inline constexpr std::string_view kProblemType = "application/problem+json";

/// What an Error means in HTTP.
Problem toProblem(const Error &error);

/// The JSON text: {"type":"about:blank","title","status","detail","error","reason"?,"requestId"}.
std::string problemBody(const Problem &problem, std::string_view requestId);

/// "Not Found" and so on; "Error" for numbers without a name.
std::string_view reasonPhrase(int status) noexcept;

/// A JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
std::string jsonString(std::string_view text);

} // namespace matrixos::api
