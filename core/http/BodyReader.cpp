#include "http/BodyReader.h"

#include "http/Problem.h"

#include <algorithm>

namespace matrixos::api {

namespace {

/// Room for a chunk's size and extensions; nobody needs them, and unbounded ones are an attack.
constexpr std::size_t kMaxChunkLine = 256;
constexpr std::size_t kMaxTrailers = 8192;
constexpr std::size_t kMaxTrailerFields = 32;
/// 16^12 bytes is more than any limit and safe to add up.
constexpr std::size_t kMaxSizeDigits = 12;

[[noreturn]] void tooLarge(std::uint64_t maxBytes) {
  throw ProblemException(413,
                         maxBytes == 0 ? std::string("this route takes no body")
                                       : "the body is larger than the " + std::to_string(maxBytes) +
                                             " bytes that this route takes",
                         "BODY_TOO_LARGE");
}

/// *( ";" name [ "=" ( token / quoted string ) ] ), without blanks around them (RFC 9112 §7.1.1): where a line ends
/// has to be the same for everybody.
bool areExtensions(std::string_view text) {
  const auto takeToken = [&text] {
    std::size_t size = 0;
    while (size < text.size() && isToken(text.substr(size, 1)))
      ++size;
    text.remove_prefix(size);
    return size != 0;
  };
  const auto takeQuoted = [&text] {
    std::size_t at = 1;
    while (at < text.size() && text[at] != '"')
      at += text[at] == '\\' ? 2 : 1;
    if (at >= text.size()) return false;
    text.remove_prefix(at + 1);
    return true;
  };
  while (!text.empty()) {
    if (text.front() != ';') return false;
    text.remove_prefix(1);
    if (!takeToken()) return false;
    if (text.substr(0, 1) != "=") continue;
    text.remove_prefix(1);
    if (!(text.substr(0, 1) == "\"" ? takeQuoted() : takeToken())) return false;
  }
  return true;
}

[[noreturn]] void malformed(const std::string &what) {
  throw ProblemException(400, what, "BAD_BODY");
}

} // namespace

BodyReader::BodyReader(Connection &connection, std::chrono::milliseconds progressTimeout)
    : connection_(connection), progressTimeout_(progressTimeout),
      complete_(connection.head().framing == BodyFraming::None) {}

std::string BodyReader::readAll(std::uint64_t maxBytes) {
  std::string body;
  const RequestHead &head = connection_.head();
  if (complete_) return body;
  if (head.framing == BodyFraming::Length && head.contentLength > maxBytes) tooLarge(maxBytes);
  if (head.expectContinue && connection_.input().empty()) {
    if (!connection_.send("HTTP/1.1 100 Continue\r\n\r\n", {}, progressTimeout_)) malformed("the client has gone");
  }
  // Without an end to it all, one byte now and then would hold a worker for hours.
  deadline_ = Clock::now() + 6 * progressTimeout_;
  read(&body, maxBytes);
  return body;
}

bool BodyReader::drain(std::uint64_t maxBytes, Clock::time_point deadline) {
  if (complete_) return true;
  const RequestHead &head = connection_.head();
  // Half a chunked body cannot be resumed, and a client that awaits 100 Continue may never send what it declared.
  if (started_ || head.expectContinue) return false;
  if (head.framing == BodyFraming::Length && head.contentLength > maxBytes) return false;
  deadline_ = deadline;
  try {
    read(nullptr, maxBytes);
  } catch (const ProblemException &) {
    return false;
  }
  return true;
}

void BodyReader::read(std::string *out, std::uint64_t maxBytes) {
  started_ = true;
  if (connection_.head().framing == BodyFraming::Length)
    readExactly(connection_.head().contentLength, out);
  else
    readChunked(out, maxBytes);
  complete_ = true;
}

void BodyReader::readExactly(std::uint64_t bytes, std::string *out) {
  std::string &input = connection_.input();
  while (bytes != 0) {
    if (input.empty()) need();
    const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, input.size()));
    if (out != nullptr) out->append(input, 0, take);
    input.erase(0, take);
    bytes -= take;
  }
}

void BodyReader::readChunked(std::string *out, std::uint64_t maxBytes) {
  std::uint64_t total = 0;
  for (;;) {
    const std::uint64_t size = readChunkSize();
    if (size == 0) break;
    total += size;
    if (total > maxBytes) tooLarge(maxBytes);
    readExactly(size, out);
    expectCrlf();
  }
  readTrailers();
}

std::uint64_t BodyReader::readChunkSize() {
  const std::string line = readLine(kMaxChunkLine);
  std::uint64_t size = 0;
  std::size_t digits = 0;
  for (; digits < line.size(); ++digits) {
    const char c = line[digits];
    if (c >= '0' && c <= '9')
      size = size * 16 + static_cast<std::uint64_t>(c - '0');
    else if (c >= 'a' && c <= 'f')
      size = size * 16 + static_cast<std::uint64_t>(c - 'a' + 10);
    else if (c >= 'A' && c <= 'F')
      size = size * 16 + static_cast<std::uint64_t>(c - 'A' + 10);
    else
      break;
    if (digits >= kMaxSizeDigits) malformed("a chunk size is too long");
  }
  if (digits == 0) malformed("a chunk size is malformed");
  if (!areExtensions(std::string_view(line).substr(digits))) malformed("a chunk extension is malformed");
  return size;
}

void BodyReader::readTrailers() {
  std::size_t total = 0;
  std::size_t fields = 0;
  for (;;) {
    const std::string line = readLine(kMaxTrailers);
    if (line.empty()) return;
    total += line.size();
    if (total > kMaxTrailers || ++fields > kMaxTrailerFields) malformed("the trailers are too large");
    if (!isToken(std::string_view(line).substr(0, line.find(':'))) || line.find(':') == std::string::npos) {
      malformed("a trailer field is malformed");
    }
  }
}

std::string BodyReader::readLine(std::size_t maxBytes) {
  std::string &input = connection_.input();
  for (;;) {
    const std::size_t end = input.find('\n');
    if (end == std::string::npos) {
      if (input.size() > maxBytes) malformed("a line of the chunked body is too long");
      need();
      continue;
    }
    if (end > maxBytes) malformed("a line of the chunked body is too long");
    if (end == 0 || input[end - 1] != '\r') malformed("a line of the chunked body ends in a bare LF");
    std::string line = input.substr(0, end - 1);
    if (!isFieldValue(line)) malformed("a control byte stands in the chunked body's framing");
    input.erase(0, end + 1);
    return line;
  }
}

void BodyReader::expectCrlf() {
  std::string &input = connection_.input();
  while (input.size() < 2) {
    if (!input.empty() && input.front() != '\r') break;
    need();
  }
  if (input.compare(0, 2, "\r\n") != 0) malformed("a chunk is longer than its size says");
  input.erase(0, 2);
}

void BodyReader::need() {
  switch (connection_.receive(std::min(deadline_, Clock::now() + progressTimeout_))) {
  case Connection::Read::Data:
    return;
  case Connection::Read::TimedOut:
    throw ProblemException(408, "the body did not arrive in time", "BODY_TIMEOUT");
  case Connection::Read::End:
    malformed("the body ends before its declared end");
  case Connection::Read::Aborted:
    throw ProblemException(503, "the server is stopping", "STOPPING");
  }
}

} // namespace matrixos::api
