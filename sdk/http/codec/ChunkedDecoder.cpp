#include "ChunkedDecoder.h"

#include "Grammar.h"
#include "HeadScanner.h"

#include <matrixos/text/hex.hpp>

#include <algorithm>
#include <cstring>

namespace matrixos::http {

namespace {

constexpr std::uint8_t kMaxSizeDigits = 15; // below 2^60: no sum of sizes overflows
constexpr std::uint16_t kMaxExtension = 256;
constexpr std::size_t kMaxTrailers = 8 * 1024;
constexpr std::size_t kMaxTrailerFields = 32;

} // namespace

void ChunkedDecoder::reset() noexcept {
  state_ = State::Size;
  digits_ = 0;
  extension_ = 0;
  left_ = 0;
  reason_ = "";
  trailerText_.clear();
  trailers_.clear();
}

void ChunkedDecoder::fail(const char *reason) noexcept {
  state_ = State::Failed;
  reason_ = reason;
}

ChunkedDecoder::Step ChunkedDecoder::decode(char *data, std::size_t size) {
  std::size_t at = 0;
  std::size_t produced = 0;
  while (at < size) {
    if (state_ == State::Data) {
      const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(left_, size - at));
      if (produced != at) std::memmove(data + produced, data + at, take);
      produced += take;
      at += take;
      left_ -= take;
      if (left_ == 0) state_ = State::DataCr;
      continue;
    }
    const char c = data[at];
    bool fine = false;
    switch (state_) {
    case State::Size:
      fine = stepSize(c);
      break;
    case State::Extension:
      fine = stepExtension(c);
      break;
    case State::SizeLf:
      fine = c == '\n';
      if (fine) endOfSize();
      break;
    case State::DataCr:
      fine = c == '\r';
      if (fine) state_ = State::DataLf;
      break;
    case State::DataLf:
      fine = c == '\n';
      if (fine) {
        state_ = State::Size;
        digits_ = 0;
        extension_ = 0;
      }
      break;
    case State::Trailer:
      fine = stepTrailer(c);
      break;
    case State::Data:
    case State::Done:
    case State::Failed:
      return {at, produced};
    }
    if (!fine) {
      if (state_ != State::Failed) fail("bad chunk syntax");
      return {at, produced};
    }
    ++at;
  }
  return {at, produced};
}

bool ChunkedDecoder::stepSize(char c) {
  const int digit = hexValue(c);
  if (digit >= 0) {
    if (digits_ == 0) left_ = 0;
    if (++digits_ > kMaxSizeDigits) return false;
    left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
    return true;
  }
  if (digits_ == 0) return false;
  if (c == '\r')
    state_ = State::SizeLf;
  else if (c == ';')
    startExtension();
  else
    return false; // blanks after the size too: no current sender needs them, and recipients differ
  return true;
}

void ChunkedDecoder::startExtension() noexcept {
  state_ = State::Extension;
  part_ = Part::Semicolon;
}

/// ";" name [ "=" ( token | quoted string ) ], without the blanks around them that senders must not write (RFC 9112
/// §7.1.1): whoever ends the line somewhere else than others do sees other chunks.
bool ChunkedDecoder::stepExtension(char c) {
  if (++extension_ > kMaxExtension) return false;
  const bool token = isToken({&c, 1});
  switch (part_) {
  case Part::Semicolon:
    part_ = Part::Name;
    return token;
  case Part::Name:
    if (c == '=') part_ = Part::Equals;
    return token || c == '=' || endsExtension(c);
  case Part::Equals:
    part_ = c == '"' ? Part::Quoted : Part::Value;
    return token || c == '"';
  case Part::Value:
    return token || endsExtension(c);
  case Part::Quoted:
    if (c == '"')
      part_ = Part::Quote;
    else if (c == '\\')
      part_ = Part::Escape;
    return isFieldValue({&c, 1});
  case Part::Escape:
    part_ = Part::Quoted;
    return isFieldValue({&c, 1});
  case Part::Quote:
    return endsExtension(c);
  }
  return false;
}

bool ChunkedDecoder::endsExtension(char c) noexcept {
  if (c == ';')
    startExtension();
  else if (c == '\r')
    state_ = State::SizeLf;
  else
    return false;
  return true;
}

bool ChunkedDecoder::stepTrailer(char c) {
  const std::size_t before = trailerText_.size();
  if (before >= kMaxTrailers) return false;
  if (c == '\n' && (before == 0 || trailerText_.back() != '\r')) return false;
  trailerText_.push_back(c);
  if (c != '\n') return true;
  const std::string_view text = trailerText_;
  const bool empty = text == "\r\n" || (text.size() >= 4 && text.substr(text.size() - 4) == "\r\n\r\n");
  return !empty || finishTrailers();
}

bool ChunkedDecoder::finishTrailers() {
  const std::string_view lines(trailerText_.data(), trailerText_.size() - 2);
  if (const char *reason = parseFields(lines, kMaxTrailerFields, trailers_)) {
    fail(reason);
    return false;
  }
  state_ = State::Done;
  return true;
}

} // namespace matrixos::http
