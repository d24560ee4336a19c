#include "EventStream.h"

#include <algorithm>
#include <cstring>

namespace matrixos::gateway {

namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// Bytes before the first CR or LF.
std::size_t lineLength(std::string_view text) noexcept {
  const auto *lineFeed = static_cast<const char *>(std::memchr(text.data(), '\n', text.size()));
  if (lineFeed != nullptr) text = text.substr(0, static_cast<std::size_t>(lineFeed - text.data()));
  const auto *carriageReturn = static_cast<const char *>(std::memchr(text.data(), '\r', text.size()));
  return carriageReturn != nullptr ? static_cast<std::size_t>(carriageReturn - text.data()) : text.size();
}

} // namespace

void EventStream::feed(std::string_view piece) {
  while (!piece.empty())
    piece.remove_prefix(take(piece));
}

void EventStream::finish() {
  if (state_ != State::Name || fieldSize_ > 0) endLine('\n');
  dispatch();
}

std::size_t EventStream::take(std::string_view piece) {
  const char c = piece.front();
  if (state_ == State::Start) state_ = c == kByteOrderMark[0] ? State::ByteOrderMark : State::Name;
  if (state_ == State::ByteOrderMark) {
    if (c == kByteOrderMark[markBytes_]) {
      if (++markBytes_ == kByteOrderMark.size()) state_ = State::Name;
      return 1;
    }
    state_ = State::Skip; // no field begins like this
  }
  if (c == '\n' && afterReturn_) {
    afterReturn_ = false;
    return 1;
  }
  afterReturn_ = false;
  if (c == '\n' || c == '\r') return endLine(c);
  if (state_ == State::Name) {
    if (c == ':') {
      beginValue();
    } else if (fieldSize_ == field_.size()) {
      state_ = State::Skip;
    } else {
      field_[fieldSize_++] = c;
    }
    return 1;
  }
  if (state_ == State::Blank) {
    state_ = State::Value;
    if (c == ' ') return 1;
  }
  const std::size_t length = lineLength(piece);
  value(piece.substr(0, length));
  return length;
}

std::size_t EventStream::endLine(char end) {
  afterReturn_ = end == '\r';
  if (state_ == State::Name && fieldSize_ > 0) beginValue(); // a field without a colon has an empty value
  if (state_ == State::Name) dispatch();
  state_ = State::Name;
  fieldSize_ = 0;
  return 1;
}

void EventStream::beginValue() {
  if (field() == "data") {
    wanted_ = handler_.wantsData(event());
    if (wanted_ && hasData_) handler_.onData("\n");
    hasData_ = true;
  } else if (field() == "event") {
    eventSize_ = 0;
  } else {
    state_ = State::Skip;
    return;
  }
  state_ = State::Blank;
}

void EventStream::value(std::string_view piece) {
  if (state_ == State::Skip) return;
  if (field() == "data") {
    if (wanted_) handler_.onData(piece);
    return;
  }
  const std::size_t size = std::min(piece.size(), kMaxName - eventSize_);
  std::copy_n(piece.data(), size, event_.data() + eventSize_);
  eventSize_ = static_cast<std::uint8_t>(eventSize_ + size);
}

void EventStream::dispatch() {
  if (hasData_) handler_.onEvent(event());
  hasData_ = false;
  eventSize_ = 0;
}

} // namespace matrixos::gateway
