/// http/codec/ChunkedDecoder.h: the strict decoder of the chunked transfer coding (RFC 9112 §7.1).
#pragma once

#include "Field.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace matrixos::http {

/// Decodes a chunked body as it arrives, in any split. Chunk extensions are held to their grammar and thrown away;
/// trailers are kept apart, never merged into the header (RFC 9110 §6.5.1). Not thread-safe.
class ChunkedDecoder {
public:
  struct Step {
    std::size_t consumed; ///< bytes of the input that were used; the rest belongs to the next message
    std::size_t produced; ///< payload bytes, moved to the start of the input
  };

  void reset() noexcept;

  /// Takes bytes off the wire and leaves their payload at `data`. Everything is consumed unless done() or failed().
  Step decode(char *data, std::size_t size);

  bool done() const noexcept { return state_ == State::Done; }
  bool failed() const noexcept { return state_ == State::Failed; }
  /// Static text, after failed().
  const char *reason() const noexcept { return reason_; }

  /// The trailer fields after done(); they live until reset().
  const FieldList &trailers() const noexcept { return trailers_; }
  FieldList &trailers() noexcept { return trailers_; }

private:
  enum class State : std::uint8_t { Size, Extension, SizeLf, Data, DataCr, DataLf, Trailer, Done, Failed };
  /// Of a chunk extension: what came last.
  enum class Part : std::uint8_t { Semicolon, Name, Equals, Value, Quoted, Escape, Quote };

  bool stepSize(char c);
  void startExtension() noexcept;
  bool stepExtension(char c);
  bool endsExtension(char c) noexcept;
  bool stepTrailer(char c);
  void endOfSize() { state_ = left_ == 0 ? State::Trailer : State::Data; }
  bool finishTrailers();
  void fail(const char *reason) noexcept;

  State state_ = State::Size;
  Part part_ = Part::Semicolon;
  std::uint8_t digits_ = 0;
  std::uint16_t extension_ = 0;
  std::uint64_t left_ = 0;
  const char *reason_ = "";
  std::string trailerText_;
  FieldList trailers_;
};

} // namespace matrixos::http
