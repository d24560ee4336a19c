#pragma once

#include "http/RequestHead.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace matrixos::api {

/// Caps on a request head.
struct GateLimits {
  std::size_t maxRequestLine = 8192; ///< bytes; longer is 414
  std::size_t maxHead = 32768;       ///< bytes of the whole head; longer is 431
  std::size_t maxFields = 100;       ///< more is 431
};

/// The one place where bytes from a client become a request, or do not.
///
/// It is stricter than RFC 9112 asks of a server: whatever two HTTP implementations might read differently is refused,
/// so that nothing in front of or behind us can disagree about where a request ends. Refused with 400: two ways of
/// framing, Content-Length that is repeated, a list or not digits, Transfer-Encoding other than exactly `chunked` or
/// on HTTP/1.0, bare CR, bare LF, NUL and other control bytes, white space around a field name, folded lines, a missing
/// or repeated Host on HTTP/1.1, one that is no host, Connection options that are no tokens, and targets that are no
/// path. Also 414, 417, 431 and 505. After a refusal the connection is closed, since the end of that request is
/// unknown.
///
/// One gate serves one request head; feed it a growing buffer until it decides.
class RequestGate {
public:
  enum class Verdict { NeedMore, Admitted, Refused };

  explicit RequestGate(const GateLimits &limits) : limits_(&limits) {}

  /// Judges what has arrived so far. `bytes` starts at the request line and only ever grows between calls; bytes that
  /// were seen are not looked at twice. Misuse of control bytes is noticed at once, not at the end of the head.
  Verdict examine(std::string_view bytes);

  /// After Admitted: the request, and how many bytes its head took.
  const RequestHead &head() const { return head_; }
  RequestHead takeHead() { return std::move(head_); }
  std::size_t headBytes() const { return headBytes_; }
  /// Whether any byte was examined yet.
  bool started() const { return seen_ != 0; }

  /// After Refused: the status to answer and a sentence that names the fault.
  int status() const { return status_; }
  const std::string &fault() const { return fault_; }

private:
  Verdict refuse(int status, std::string fault);
  Verdict parse(std::string_view head);
  bool parseRequestLine(std::string_view line);
  bool parseField(std::string_view line);
  bool checkTarget();
  bool checkHost();
  bool checkFraming();
  bool checkExpectation();
  bool checkConnection();

  const GateLimits *limits_;
  RequestHead head_;
  std::size_t seen_ = 0;
  bool lineSeen_ = false;
  std::size_t headBytes_ = 0;
  int status_ = 0;
  std::string fault_;
};

} // namespace matrixos::api
