/// http/client/ClientError.h: why an exchange brought no complete answer.
#pragma once

#include <matrixos/status.hpp>

#include <string>

namespace matrixos::http {

/// No complete answer came. The text is a clause without the server's name or address, fit to follow a colon.
class ClientError : public Error {
public:
  enum class Cause {
    Unreachable,    ///< nobody listens there, or the name is unknown: Status::Unavailable
    Denied,         ///< the unix socket may not be opened: PermissionDenied
    NotPublic,      ///< ClientRequest::onlyPublic, and it has no address that is: PermissionDenied
    Tls,            ///< no agreement, or the certificate is not trusted: Unavailable
    ConnectTimeout, ///< DeadlineExceeded, as the next three
    Timeout,        ///< ClientRequest::timeout
    Silent,         ///< ClientRequest::maxSilence
    Deadline,       ///< the call's own
    Cancelled,      ///< the call was cancelled: Cancelled
    Stopping,       ///< HttpClient::shutdown(): Unavailable
    NoAnswer,       ///< the connection ended before a byte of the answer: DataLoss
    Incomplete,     ///< the answer broke off, or its chunks are garbled: DataLoss
    Malformed,      ///< the answer is no HTTP/1, or can be read in two ways: DataLoss
    TooLarge,       ///< a limit of the request was exceeded: ResourceExhausted
  };

  ClientError(Cause cause, const std::string &what, bool sent);

  Cause cause() const noexcept { return cause_; }
  /// False: no byte of the request left, so it can be sent to another address without being executed twice.
  bool sent() const noexcept { return sent_; }

private:
  Cause cause_;
  bool sent_;
};

} // namespace matrixos::http
