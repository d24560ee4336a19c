/// http/codec/BodyDecoder.h: takes a body of any framing off the wire.
#pragma once

#include "ChunkedDecoder.h"
#include "Head.h"

#include <memory>

namespace matrixos::http {

/// Knows where a body ends and hands out its payload. Not thread-safe.
class BodyDecoder {
public:
  using Step = ChunkedDecoder::Step;

  void start(BodyFraming framing);

  /// As ChunkedDecoder::decode: the payload is left at the start of `data`.
  Step decode(char *data, std::size_t size);
  /// The sender closed its side. False when the body was not complete (RFC 9112 §8).
  bool end() noexcept;

  bool done() const noexcept { return done_; }
  bool failed() const noexcept { return kind_ == BodyKind::Chunked && chunks_->failed(); }
  /// Static text, after failed().
  const char *reason() const noexcept { return chunks_->reason(); }
  BodyKind kind() const noexcept { return kind_; }
  /// Trailers of a chunked body, after done().
  FieldList &trailers() noexcept { return chunks_->trailers(); }

private:
  BodyKind kind_ = BodyKind::None;
  bool done_ = true;
  std::uint64_t left_ = 0;
  std::unique_ptr<ChunkedDecoder> chunks_; // from the first chunked body on
};

} // namespace matrixos::http
