#include "HeadWriter.h"

#include "Grammar.h"

#include <array>
#include <charconv>
#include <stdexcept>

namespace matrixos::edge {

namespace {

template <typename Number>
void appendNumber(std::string &out, Number number, int base) {
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

void HeadWriter::line(std::string_view name, std::string_view value) {
  out_.append(name).append(": ").append(value).append("\r\n");
}

void HeadWriter::field(std::string_view name, std::string_view value) {
  if (!isToken(name) || (!value.empty() && !isFieldValue(value))) {
    throw std::invalid_argument("not a header field: " + std::string(name));
  }
  line(name, value);
}

void HeadWriter::parsed(const Field &field) {
  line(field.name, field.value);
}

void HeadWriter::fields(const FieldList &list) {
  for (const Field &field : list) {
    if (!field.dropped) line(field.name, field.value);
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

void HeadWriter::end() {
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

} // namespace matrixos::edge
