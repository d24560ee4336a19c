/// http/client/LineCutter.h: a stream of bytes as lines.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace matrixos::http {

/// Cuts a stream into lines, however its pieces were cut. Not thread-safe.
class LineCutter {
public:
  /// Takes a line without its LF or CR LF, borrowed for the call; empty lines too. Answers false to stop. May throw.
  using LineFn = std::function<bool(std::string_view line)>;
  static constexpr std::size_t kMaxLine = 1U << 20U;

  explicit LineCutter(LineFn line) : line_(std::move(line)) {}

  /// False once the receiver has stopped. Throws ClientError(TooLarge) for a line beyond kMaxLine bytes.
  bool feed(std::string_view bytes);
  /// The stream has ended: hands out what follows the last line feed, if anything does.
  bool finish();

private:
  bool handOut(std::string_view line) const;

  const LineFn line_;
  std::string rest_;
};

} // namespace matrixos::http
