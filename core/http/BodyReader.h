#pragma once

#include "http/Connection.h"

#include <cstdint>
#include <string>

namespace matrixos::api {

/// Reads the body that belongs to a connection's admitted request, exactly to its end and never past it, and decodes
/// chunked strictly (RFC 9112 §7.1): CRLF only, hexadecimal sizes only, extensions and trailers checked and dropped.
/// Used by the worker that owns the connection.
class BodyReader {
public:
  /// `progressTimeout`: how long the client may send nothing before it is given up; the whole body has six times that.
  BodyReader(Connection &connection, std::chrono::milliseconds progressTimeout);

  /// The whole body. Answers an awaited `100 Continue` first. Throws ProblemException: 413 when it is larger than
  /// `maxBytes` (before reading, if its length is declared), 400 when it is malformed or ends early, 408 when it
  /// stalls.
  std::string readAll(std::uint64_t maxBytes);

  /// Reads an unwanted body away. True when its end was reached within `maxBytes` and before `deadline`, so that the
  /// next request on the connection starts where it should; false when the connection has to be closed.
  bool drain(std::uint64_t maxBytes, Clock::time_point deadline);

  /// Whether any of it was read.
  bool started() const { return started_; }
  /// Whether the body was consumed to its end.
  bool complete() const { return complete_; }

private:
  /// Appends to `out` (unless null) at most `maxBytes`, or throws.
  void read(std::string *out, std::uint64_t maxBytes);
  void readExactly(std::uint64_t bytes, std::string *out);
  void readChunked(std::string *out, std::uint64_t maxBytes);
  std::uint64_t readChunkSize();
  void readTrailers();
  /// One line without its CRLF.
  std::string readLine(std::size_t maxBytes);
  void expectCrlf();
  void need();

  Connection &connection_;
  std::chrono::milliseconds progressTimeout_;
  Clock::time_point deadline_ = Clock::time_point::max();
  bool complete_;
  bool started_ = false;
};

} // namespace matrixos::api
