/// http/engine/ResponseWriter.h: sends an answer of our own; internal.
#pragma once

#include "Socket.h"

#include <http/codec/Head.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace matrixos::http {

/// Holds what the client has not taken yet, and no memory besides. Not thread-safe.
class ResponseWriter {
public:
  /// A new answer. Its head is appended to the text that is returned; the body is framed as `framing` says, and left
  /// out when `bodyless`, as for HEAD.
  std::string &start(BodyFraming framing, bool bodyless);
  /// The next bytes of the body. Throws std::logic_error beyond the announced length.
  void add(std::string_view piece);
  /// In place of add() and end(), for a body that is whole: it is sent from where it is.
  void finish(std::string body);
  /// Nothing follows. Throws std::logic_error when the announced length was not reached.
  void end();

  enum class Flush : std::uint8_t { Done, Blocked, Failed };
  /// Sends as much as the socket takes.
  Flush flush(Socket &to) noexcept;
  /// Bytes that wait.
  std::size_t unsent() const noexcept { return text_.size() + body_.size() - sent_; }

private:
  std::string text_; // the head, and pieces
  std::string body_; // behind it
  std::size_t sent_ = 0;
  std::uint64_t left_ = 0; ///< of an announced length
  BodyKind kind_ = BodyKind::None;
  bool bodyless_ = false;
  bool ended_ = true;
};

} // namespace matrixos::http
