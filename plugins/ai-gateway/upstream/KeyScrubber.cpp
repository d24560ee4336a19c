#include "KeyScrubber.h"

namespace matrixos::gateway {

std::string_view KeyScrubber::pass(std::string_view piece, bool last) {
  if (!keys_ || keys_->empty()) return piece;
  if (held_.empty()) {
    const bool begun = !last && keys_->begunAtEnd(piece) != 0;
    if (!begun && !keys_->isIn(piece)) return piece; // nearly always: nothing is copied
    text_.assign(piece);
  } else {
    text_.assign(held_).append(piece);
    held_.clear();
  }
  keys_->cutOut(text_.data(), text_.size());
  const std::size_t waits = last ? 0 : keys_->begunAtEnd(text_);
  held_.assign(text_, text_.size() - waits);
  text_.resize(text_.size() - waits);
  return text_;
}

} // namespace matrixos::gateway
