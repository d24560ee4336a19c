#pragma once

#include <matrixos/status.hpp>

#include <string>

namespace matrixos::identity {

/// Why somebody is not signed in: a sentence for people, a word for programs, no secret.
inline Error refusal(const char *reason, const std::string &message) {
  return Error(Status::Unauthenticated, message, reason);
}

} // namespace matrixos::identity
