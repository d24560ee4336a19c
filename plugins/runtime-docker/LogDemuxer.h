#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace matrixos::docker {

/// Cuts the engine's multiplexed log stream (Engine API, "Attach to a container", stream format) into lines.
/// Not thread-safe.
class LogDemuxer {
public:
  enum class Stream { Stdout = 1, Stderr = 2 };
  /// A line without its line feed, in whatever encoding the container wrote. Answers false to stop.
  using LineFn = std::function<bool(Stream, std::string_view)>;
  /// A longer line is handed out in pieces: a tenant may write gigabytes without a line feed.
  static constexpr std::size_t kMaxLine = 64U * 1024;

  explicit LogDemuxer(LineFn line) : line_(std::move(line)) {}
  /// False once the receiver stopped. Throws Error(InvalidArgument, BAD_JSON) when the framing is broken.
  bool feed(std::string_view bytes);
  /// The stream has ended: hands out what is left of both streams. Throws when a frame is incomplete.
  bool finish();

private:
  bool text(std::string_view bytes);

  LineFn line_;
  std::array<unsigned char, 8> header_{};
  std::size_t headerFilled_ = 0;
  std::uint32_t frameLeft_ = 0;
  std::array<std::string, 2> rest_;
};

} // namespace matrixos::docker
