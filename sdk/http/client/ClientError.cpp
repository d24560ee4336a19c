#include "ClientError.h"

namespace matrixos::http {

namespace {

struct Meaning {
  Status status;
  const char *reason;
};

Meaning meaningOf(ClientError::Cause cause) noexcept {
  using Cause = ClientError::Cause;
  switch (cause) {
  case Cause::Unreachable:
    return {Status::Unavailable, "UNREACHABLE"};
  case Cause::Denied:
    return {Status::PermissionDenied, "SOCKET_DENIED"};
  case Cause::Tls:
    return {Status::Unavailable, "TLS_FAILED"};
  case Cause::ConnectTimeout:
  case Cause::Timeout:
  case Cause::Silent:
  case Cause::Deadline:
    return {Status::DeadlineExceeded, "TIMEOUT"};
  case Cause::Cancelled:
    return {Status::Cancelled, "CANCELLED"};
  case Cause::Stopping:
    return {Status::Unavailable, "STOPPING"};
  case Cause::NoAnswer:
  case Cause::Incomplete:
    return {Status::DataLoss, "INCOMPLETE"};
  case Cause::Malformed:
    return {Status::DataLoss, "MALFORMED"};
  case Cause::TooLarge:
    return {Status::ResourceExhausted, "TOO_LARGE"};
  }
  return {Status::Unknown, ""};
}

} // namespace

ClientError::ClientError(Cause cause, const std::string &what, bool sent)
    : Error(meaningOf(cause).status, what, meaningOf(cause).reason), cause_(cause), sent_(sent) {}

} // namespace matrixos::http
