#include "Pump.h"

#include <http/codec/HeadWriter.h>
#include <http/codec/HopByHop.h>

#include <array>

namespace matrixos::http {

namespace {

constexpr int kMostRounds = 16; // then others have their turn
constexpr std::size_t kMostKept = 64 * 1024;

} // namespace

void Pump::start(const Route &route) {
  from_ = &route.from;
  to_ = &route.to;
  buffer_ = &route.buffer;
  chunkedOut_ = route.chunkedOut;
  trailersOut_ = route.trailersOut;
  endShown_ = route.endShown;
  most_ = route.most;
  passed_ = 0;
  decoder_.start(route.framing);
  last_ = false;
  payload_ = {};
  consumed_ = 0;
  // The head waits for the first bytes of the body, if they are here already, and travels with them.
  if (decoder_.done())
    finishBody();
  else if (!buffer_->empty())
    decode();
  writing_ = writing_ || !prefix_.empty();
}

void Pump::stop() noexcept {
  from_ = to_ = nullptr;
  prefix_.clear();
  suffix_.clear();
  payload_ = {};
  if (consumed_ != 0) buffer_->consume(consumed_); // what was shown is not shown again
  written_ = consumed_ = 0;
  writing_ = last_ = false;
}

void Pump::run() {
  for (int round = 0; round < kMostRounds && to_ != nullptr; ++round) {
    if (writing()) {
      const Flush result = flush();
      if (result == Flush::Blocked) return to_->waitWritable();
      if (result == Flush::Failed) return fail(PumpFailure::DestinationFailed);
      if (last_) {
        stop();
        return owner_.onPumpDone(*this);
      }
    }
    if (from_ == nullptr) return;
    if (!buffer_->empty() && passed_ <= most_ && !decoder_.failed()) decode();
    if (to_ == nullptr) return; // the owner has stopped it
    if (decoder_.failed()) return fail(PumpFailure::BadFraming);
    if (passed_ > most_) return fail(PumpFailure::TooLarge);
    if (writing() || !buffer_->empty()) continue;
    if (!from_->mayRead()) {
      buffer_->releaseIfEmpty();
      return from_->waitReadable();
    }
    if (round + 1 == kMostRounds) break; // bytes that were read and left would wait for others to wake us
    if (!fill()) return;
  }
  if (to_ != nullptr && writing())
    to_->waitWritable();
  else if (from_ != nullptr)
    from_->waitReadable();
}

bool Pump::fill() {
  buffer_->prepare();
  const Io io = from_->read(buffer_->writePointer(), buffer_->space());
  switch (io.kind) {
  case Io::Kind::Bytes:
    buffer_->filled(io.bytes);
    owner_.onPumpProgress();
    return true;
  case Io::Kind::WouldBlock:
    return true;
  case Io::Kind::End:
    if (!decoder_.end()) {
      fail(PumpFailure::SourceEnded);
      return false;
    }
    if (endShown_) take({}, true);
    if (to_ == nullptr) return false;
    finishBody();
    return true;
  case Io::Kind::Failed:
    fail(PumpFailure::SourceFailed);
    return false;
  }
  return false;
}

void Pump::decode() {
  const auto step = decoder_.decode(buffer_->data(), buffer_->size());
  passed_ += step.produced;
  if (decoder_.failed() || passed_ > most_) return;
  consumed_ = step.consumed;
  const bool last = decoder_.done();
  if (step.produced != 0 || (last && endShown_)) take({buffer_->data(), step.produced}, last);
  if (to_ == nullptr) return;
  if (last || last_) finishBody();
  if (!writing_) {
    buffer_->consume(consumed_);
    consumed_ = 0;
  }
}

/// Payload of the body, to be written in the form that the owner gives it.
void Pump::take(std::string_view payload, bool last) {
  const std::string_view given = owner_.onPumpBytes(*this, payload, last);
  if (to_ == nullptr || given.empty()) return;
  payload_ = given;
  if (chunkedOut_) {
    appendChunkStart(prefix_, payload_.size());
    suffix_.append("\r\n");
  }
  writing_ = true;
}

void Pump::finishBody() {
  last_ = true;
  writing_ = true;
  if (!chunkedOut_) return;
  if (trailersOut_ && decoder_.kind() == BodyKind::Chunked && decoder_.done()) {
    dropUnsafeTrailers(decoder_.trailers());
    appendLastChunk(suffix_, &decoder_.trailers());
  } else {
    appendLastChunk(suffix_, nullptr);
  }
}

Pump::Flush Pump::flush() noexcept {
  for (;;) {
    std::array<iovec, 3> parts{};
    int count = 0;
    std::size_t skip = written_;
    std::size_t total = 0;
    const auto add = [&](std::string_view text) {
      total += text.size();
      if (skip >= text.size()) {
        skip -= text.size();
        return;
      }
      parts[static_cast<std::size_t>(count++)] = {const_cast<char *>(text.data()) + skip, text.size() - skip};
      skip = 0;
    };
    add(prefix_);
    add(payload_);
    add(suffix_);
    if (written_ == total) {
      if (consumed_ != 0) buffer_->consume(consumed_);
      for (std::string *text : {&prefix_, &suffix_})
        text->capacity() > kMostKept ? release(*text) : text->clear();
      payload_ = {};
      written_ = consumed_ = 0;
      writing_ = false;
      return Flush::Done;
    }
    const Io io = to_->write(parts.data(), count);
    if (io.kind == Io::Kind::WouldBlock) return Flush::Blocked;
    if (io.kind != Io::Kind::Bytes) return Flush::Failed;
    written_ += io.bytes;
    owner_.onPumpProgress();
  }
}

void Pump::fail(PumpFailure failure) {
  stop();
  owner_.onPumpFailed(*this, failure);
}

} // namespace matrixos::http
