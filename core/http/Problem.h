#pragma once

#include <matrixos/status.hpp>

#include <http/codec/Problem.h>

#include <stdexcept>
#include <string>

namespace matrixos::api {

using http::Problem;

/// Thrown inside the server, answered once at its border.
class ProblemException : public std::runtime_error {
public:
  explicit ProblemException(Problem problem) : std::runtime_error(problem.message), problem_(std::move(problem)) {}
  ProblemException(int status, const std::string &message, std::string reason = {})
      : std::runtime_error(message), problem_{status, message, std::move(reason)} {}
  const Problem &problem() const { return problem_; }

private:
  Problem problem_;
};

/// What an Error means in HTTP.
Problem toProblem(const Error &error);

/// Of a server, or a part of it, that stops.
Problem stoppingProblem();
Problem routeRemovedProblem();
/// What a client is told of a failure that is nobody's business but the operator's.
Problem internalProblem();

} // namespace matrixos::api
