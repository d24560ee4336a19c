#include "HeadWriter.h"

#include "Grammar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>

namespace matrixos::http {

namespace {

void appendNumber(std::string &out, auto number, int base) {
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, base).ptr;
  out.append(digits.data(), end);
}

} // namespace

void HeadWriter::requestLine(std::string_view method, std::string_view target) {
  if (!isToken(method) || !isTarget(target)) throw std::invalid_argument("not a request line");
  out_.append(method).append(1, ' ').append(target).append(" HTTP/1.1\r\n");
}

void HeadWriter::statusLine(int status) {
  out_.append("HTTP/1.1 ");
  appendNumber(out_, status, 10);
  out_.append(1, ' ').append(reasonPhrase(status)).append("\r\n");
}

/// Room at the end of the text, to be written to.
char *HeadWriter::grow(std::size_t bytes) {
  const std::size_t before = out_.size();
  out_.resize(before + bytes);
  return out_.data() + before;
}

void HeadWriter::line(std::string_view name, std::string_view value) {
  char *at = grow(name.size() + value.size() + 4);
  at = std::copy(name.begin(), name.end(), at);
  *at++ = ':';
  *at++ = ' ';
  at = std::copy(value.begin(), value.end(), at);
  *at++ = '\r';
  *at = '\n';
}

void HeadWriter::field(std::string_view name, std::string_view value) {
  if (!isToken(name) || !isFieldValue(value)) throw std::invalid_argument("not a header field: " + std::string(name));
  line(name, value);
}

void HeadWriter::field(std::string_view name, std::initializer_list<std::string_view> parts) {
  if (!isToken(name) || !std::all_of(parts.begin(), parts.end(), isFieldValue)) {
    throw std::invalid_argument("not a header field: " + std::string(name));
  }
  out_.append(name).append(": ");
  for (const std::string_view part : parts)
    out_.append(part);
  out_.append("\r\n");
}

void HeadWriter::parsed(const Field &field) {
  if (field.verbatim)
    out_.append(field.name.data(), field.name.size() + field.value.size() + 4);
  else
    line(field.name, field.value);
}

void HeadWriter::fields(const FieldList &list) {
  for (const Field &field : list) {
    if (!field.dropped) parsed(field);
  }
}

void HeadWriter::framing(BodyFraming framing) {
  if (framing.kind == BodyKind::Length)
    contentLength(framing.length);
  else if (framing.kind == BodyKind::Chunked)
    out_.append("Transfer-Encoding: chunked\r\n");
}

void HeadWriter::contentLength(std::uint64_t length) {
  out_.append("Content-Length: ");
  appendNumber(out_, length, 10);
  out_.append("\r\n");
}

void appendChunkStart(std::string &out, std::uint64_t size) {
  appendNumber(out, size, 16);
  out.append("\r\n");
}

void appendLastChunk(std::string &out, const FieldList *trailers) {
  out.append("0\r\n");
  if (trailers != nullptr) HeadWriter(out).fields(*trailers);
  out.append("\r\n");
}

} // namespace matrixos::http
