#include "BodyDecoder.h"

#include <algorithm>

namespace matrixos::http {

void BodyDecoder::start(BodyFraming framing) {
  kind_ = framing.kind;
  left_ = framing.length;
  done_ = kind_ == BodyKind::None || (kind_ == BodyKind::Length && left_ == 0);
  if (kind_ != BodyKind::Chunked) return;
  if (chunks_)
    chunks_->reset();
  else
    chunks_ = std::make_unique<ChunkedDecoder>();
}

BodyDecoder::Step BodyDecoder::decode(char *data, std::size_t size) {
  if (done_) return {0, 0};
  switch (kind_) {
  case BodyKind::None:
    return {0, 0};
  case BodyKind::UntilClose:
    return {size, size};
  case BodyKind::Length: {
    const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(left_, size));
    left_ -= take;
    done_ = left_ == 0;
    return {take, take};
  }
  case BodyKind::Chunked: {
    const Step step = chunks_->decode(data, size);
    done_ = chunks_->done();
    return step;
  }
  }
  return {0, 0};
}

bool BodyDecoder::end() noexcept {
  if (kind_ == BodyKind::UntilClose) done_ = true;
  return done_;
}

} // namespace matrixos::http
