#include "ResponseWriter.h"

#include "Buffer.h"

#include <http/codec/HeadWriter.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace matrixos::http {

std::string &ResponseWriter::start(BodyFraming framing, bool bodyless) {
  kind_ = framing.kind;
  left_ = framing.kind == BodyKind::Length ? framing.length : 0;
  bodyless_ = bodyless;
  ended_ = false;
  return text_;
}

void ResponseWriter::add(std::string_view piece) {
  if (ended_ || piece.empty()) return;
  if (kind_ == BodyKind::Length) {
    if (piece.size() > left_) throw std::logic_error("an answer is longer than it was announced");
    left_ -= piece.size();
  }
  if (bodyless_) return;
  if (kind_ == BodyKind::Chunked) appendChunkStart(text_, piece.size());
  text_ += piece;
  if (kind_ == BodyKind::Chunked) text_ += "\r\n";
}

void ResponseWriter::finish(std::string body) {
  if (!bodyless_) body_ = std::move(body);
  ended_ = true;
}

void ResponseWriter::end() {
  if (ended_) return;
  if (left_ != 0 && !bodyless_) throw std::logic_error("an answer is shorter than it was announced");
  ended_ = true;
  if (kind_ == BodyKind::Chunked && !bodyless_) appendLastChunk(text_, nullptr);
}

ResponseWriter::Flush ResponseWriter::flush(Socket &to) noexcept {
  while (unsent() != 0) {
    const std::size_t ofText = std::min(sent_, text_.size());
    const std::size_t ofBody = sent_ - ofText;
    const std::array<iovec, 2> parts{
        {{text_.data() + ofText, text_.size() - ofText}, {body_.data() + ofBody, body_.size() - ofBody}}};
    const bool bodyAlone = ofText == text_.size();
    const Io io = to.write(parts.data() + (bodyAlone ? 1 : 0), bodyAlone || body_.empty() ? 1 : 2);
    if (io.kind == Io::Kind::WouldBlock) return Flush::Blocked;
    if (io.kind != Io::Kind::Bytes) return Flush::Failed;
    sent_ += io.bytes;
  }
  release(text_);
  release(body_);
  sent_ = 0;
  return Flush::Done;
}

} // namespace matrixos::http
