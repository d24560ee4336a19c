/// http/codec/HeadWriter.h: writes heads. Nothing is ever passed through as bytes: what is sent was parsed, and is put
/// together again here.
#pragma once

#include "Head.h"

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace matrixos::http {

/// Appends one head to a string, in the order of the calls: requestLine or statusLine, fields, framing, end.
class HeadWriter {
public:
  explicit HeadWriter(std::string &out) noexcept : out_(out) {}

  /// Both parts come from a parsed head or are checked: throws std::invalid_argument for a byte that may not be there.
  void requestLine(std::string_view method, std::string_view target);
  /// With the usual phrase of the status.
  void statusLine(int status);

  /// A field of our own making. Throws std::invalid_argument for a bad name or a control character in the value, so
  /// that no value can start another line.
  void field(std::string_view name, std::string_view value);
  /// The same for a value in parts, which are put together in place.
  void field(std::string_view name, std::initializer_list<std::string_view> parts);
  /// A parsed field, which was checked by the parser.
  void parsed(const Field &field);
  /// The fields of a parsed list that were not dropped.
  void fields(const FieldList &list);

  /// Content-Length or Transfer-Encoding, or nothing.
  void framing(BodyFraming framing);
  void contentLength(std::uint64_t length);
  void end() { out_.append("\r\n"); }

private:
  char *grow(std::size_t bytes);
  void line(std::string_view name, std::string_view value);

  std::string &out_;
};

/// Appends the line that opens a chunk of `size` payload bytes (size > 0).
void appendChunkStart(std::string &out, std::uint64_t size);
/// Appends what ends a chunked body, with the trailers that were not dropped.
void appendLastChunk(std::string &out, const FieldList *trailers);

} // namespace matrixos::http
