/// http/codec/HeadScanner.h: finds the end of a head and cuts it into lines; shared by both parsers and by trailers.
#pragma once

#include "Head.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace matrixos::http {

/// Looks for the empty line that ends a head as bytes arrive. It remembers how far it got, so that a head that comes
/// byte by byte costs no more than one that comes at once, and it refuses a line feed without its carriage return the
/// moment it sees one (RFC 9112 §2.2 lets a recipient accept them; two recipients that differ are a smuggling vector).
class HeadScanner {
public:
  enum class Result { NeedMore, Complete, BareLineFeed, TooLong, FirstLineTooLong };

  void reset() noexcept { at_ = lineStart_ = size_ = 0; }
  /// `data` starts at the first byte of the head and holds everything so far. maxFirstLine without its CR LF.
  Result scan(std::string_view data, std::size_t maxBytes, std::size_t maxFirstLine) noexcept;
  /// After Complete: bytes of the head, with the empty line.
  std::size_t size() const noexcept { return size_; }

private:
  // As many are kept as there are connections; a head has far less than 4 GB.
  std::uint32_t at_ = 0;
  std::uint32_t lineStart_ = 0;
  std::uint32_t size_ = 0;
};

/// Parses the field lines of `text`, each ended by CR LF, without the empty line at the end. Returns null, or static
/// text that says what is wrong: a name that is no token, a blank before the colon, a folded line, a control byte, too
/// many fields.
const char *parseFields(std::string_view text, std::size_t maxFields, FieldList &out);

/// Reads a Content-Length value: digits only, no list, no sign, below 10^18.
bool parseLength(std::string_view text, std::uint64_t &out) noexcept;

/// What the Connection fields of a head say.
struct ConnectionOptions {
  bool close = false;
  bool keepAlive = false;
  bool upgrade = false;
};
/// False when there are too many options, or one is no token.
bool parseConnection(const FieldList &fields, ConnectionOptions &out) noexcept;

/// The rules that requests and responses share (RFC 9112 §6.3): a Transfer-Encoding is exactly one `chunked`, in
/// HTTP/1.1 and without Content-Length; Content-Length comes once. Returns null and sets `out` (None when the head
/// says nothing of a body), or static text that says what is ambiguous.
const char *parseFraming(const FieldList &fields, int minorVersion, BodyFraming &out) noexcept;

} // namespace matrixos::http
