#include "ClientError.h"

#include <iterator>

namespace matrixos::http {

namespace {

struct Meaning {
  Status status;
  const char *reason;
};

/// In the order of the causes.
constexpr Meaning kMeanings[] = {{Status::Unavailable, "UNREACHABLE"},     {Status::PermissionDenied, "SOCKET_DENIED"},
                                 {Status::PermissionDenied, "NOT_PUBLIC"}, {Status::Unavailable, "TLS_FAILED"},
                                 {Status::DeadlineExceeded, "TIMEOUT"},    {Status::DeadlineExceeded, "TIMEOUT"},
                                 {Status::DeadlineExceeded, "TIMEOUT"},    {Status::DeadlineExceeded, "TIMEOUT"},
                                 {Status::Cancelled, "CANCELLED"},         {Status::Unavailable, "STOPPING"},
                                 {Status::DataLoss, "INCOMPLETE"},         {Status::DataLoss, "INCOMPLETE"},
                                 {Status::DataLoss, "MALFORMED"},          {Status::ResourceExhausted, "TOO_LARGE"}};
static_assert(std::size(kMeanings) == static_cast<std::size_t>(ClientError::Cause::TooLarge) + 1);

const Meaning &meaningOf(ClientError::Cause cause) noexcept {
  return kMeanings[static_cast<std::size_t>(cause)];
}

} // namespace

ClientError::ClientError(Cause cause, const std::string &what, bool sent)
    : Error(meaningOf(cause).status, what, meaningOf(cause).reason), cause_(cause), sent_(sent) {}

} // namespace matrixos::http
