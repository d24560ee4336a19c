#include "BodyIntake.h"

#include <algorithm>

namespace matrixos::http {

BodyIntake::BodyIntake(BodyFraming framing, std::uint64_t most, std::int64_t nowMs) : most_(most), startedMs_(nowMs) {
  decoder_.start(framing);
}

BodyIntake::Result BodyIntake::take(Buffer &from, std::string_view &piece) {
  const auto step = decoder_.decode(from.data(), from.size());
  piece = {from.data(), step.produced};
  from.consume(step.consumed);
  taken_ += step.produced;
  if (taken_ > most_) return Result::TooLarge;
  if (decoder_.failed()) return Result::Malformed;
  return decoder_.done() ? Result::Last : Result::Piece;
}

std::int64_t BodyIntake::deadline(const ServerOptions &options, std::int64_t sinceMs, std::int64_t startedMs,
                                  std::uint64_t taken) noexcept {
  const std::int64_t patience = options.timeouts.requestBody.count();
  if (options.minBodyRate == 0) return sinceMs + patience;
  const auto earned = static_cast<std::int64_t>(taken / options.minBodyRate) * 1000;
  return std::min(sinceMs + patience, startedMs + patience + earned);
}

} // namespace matrixos::http
