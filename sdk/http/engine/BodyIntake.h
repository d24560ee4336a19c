/// http/engine/BodyIntake.h: takes the body of one request off the wire for its session; internal.
#pragma once

#include "Buffer.h"
#include "Options.h"

#include <http/codec/BodyDecoder.h>

#include <cstdint>
#include <string_view>

namespace matrixos::http {

/// Knows how much of the body has come, how much may come, and until when. One loop, one thread.
class BodyIntake {
public:
  /// `nowMs`: see Loop::nowMs().
  BodyIntake(BodyFraming framing, std::uint64_t most, std::int64_t nowMs);

  enum class Result : std::uint8_t { Piece, Last, TooLarge, Malformed };
  /// Takes what is in the buffer. The piece stays where it is until something is read into the buffer again.
  Result take(Buffer &from, std::string_view &piece);
  /// All of it has been taken.
  bool done() const noexcept { return decoder_.done(); }
  /// Static text, after Malformed.
  const char *reason() const noexcept { return decoder_.reason(); }
  std::uint64_t taken() const noexcept { return taken_; }

  /// Until when more has to come: `sinceMs` is when something came last.
  std::int64_t deadline(const ServerOptions &options, std::int64_t sinceMs) const noexcept {
    return deadline(options, sinceMs, startedMs_, taken_);
  }
  /// The same for any body: it may stand still for so long, and has to have brought its rate since `startedMs`.
  static std::int64_t deadline(const ServerOptions &options, std::int64_t sinceMs, std::int64_t startedMs,
                               std::uint64_t taken) noexcept;

private:
  BodyDecoder decoder_;
  std::uint64_t most_;
  std::uint64_t taken_ = 0;
  std::int64_t startedMs_;
};

} // namespace matrixos::http
