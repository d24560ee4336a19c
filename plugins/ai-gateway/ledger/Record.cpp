#include "Record.h"

#include <matrixos/text/utf8.hpp>

#include <algorithm>

namespace matrixos::gateway {

template <std::size_t Size>
ShortText<Size>::ShortText(std::string_view text) noexcept {
  const std::string_view cut = cutUtf8(text, Size);
  const bool isText = isUtf8(cut);
  std::transform(cut.begin(), cut.end(), bytes_.begin(), [isText](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7F || (byte >= 0x80 && !isText) ? '?' : c;
  });
  size_ = static_cast<std::uint8_t>(cut.size());
}

template class ShortText<26>;
template class ShortText<32>;
template class ShortText<63>;

void Record::chargeHold() noexcept {
  state = State::Settled;
  cost = hold;
  partial = true;
}

} // namespace matrixos::gateway
