#include "http/Problem.h"

namespace matrixos::api {

Problem toProblem(const Error &error) {
  return {error.status() == Status::Ok ? 500 : httpStatus(error.status()), error.what(), error.reason(),
          error.retryAfterMs()};
}

Problem stoppingProblem() {
  return {503, "the server is stopping", "STOPPING", 1000};
}

Problem routeRemovedProblem() {
  return {503, "the part of the platform that serves this route was stopped", "ROUTE_REMOVED", 1000};
}

Problem internalProblem() {
  return {500, "the platform failed to serve this request; its log has the cause under the request id", "INTERNAL"};
}

} // namespace matrixos::api
