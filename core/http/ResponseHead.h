#pragma once

#include "http/Problem.h"
#include "http/RequestHead.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::api {

/// What goes out before a body. Always adds Date, X-Request-Id, `Cache-Control: no-store` (unless `fields` has one) and
/// `X-Content-Type-Options: nosniff`.
struct ResponseHead {
  int status = 200;
  std::string contentType;
  std::vector<Field> fields;
  /// Bytes of the body; nothing for a stream, whose length is unknown.
  std::optional<std::uint64_t> contentLength;
  std::string requestId;
  int minorVersion = 1; ///< of the request
  bool keepAlive = true;
};

/// The text of a head. A stream is chunked for HTTP/1.1 and ended by closing for HTTP/1.0.
std::string serialize(const ResponseHead &head);

/// Throws Error(InvalidArgument) for a status outside 200…599, a name that is no token, control bytes in a value or the
/// content type, and for fields that belong to the server: framing, connection and X-Request-Id.
void checkResponse(int status, std::string_view contentType, const std::vector<Field> &fields);

/// Whether answers with this status have no body at all (RFC 9110 §6.4.1).
bool bodyless(int status) noexcept;

/// A whole problem+json answer.
std::string problemResponse(const Problem &problem, const std::string &requestId, int minorVersion, bool keepAlive);

/// The fields of a problem: its own and Retry-After.
std::vector<Field> problemFields(const Problem &problem);

} // namespace matrixos::api
