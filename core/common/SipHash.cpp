#include "common/SipHash.h"

#include <matrixos/status.hpp>

#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <cstddef>

namespace matrixos::common {

namespace {

struct State {
  std::uint64_t v0, v1, v2, v3;

  void rounds(int count) noexcept {
    for (int i = 0; i < count; ++i) {
      v0 += v1;
      v2 += v3;
      v1 = std::rotl(v1, 13) ^ v0;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 = std::rotl(v0, 32) + v3;
      v2 += v1;
      v3 = std::rotl(v3, 21) ^ v0;
      v1 = std::rotl(v1, 17) ^ v2;
      v2 = std::rotl(v2, 32);
    }
  }

  void take(std::uint64_t word) noexcept {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }
};

/// Up to eight bytes, the first one lowest.
std::uint64_t wordOf(std::string_view bytes) noexcept {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    word |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  return word;
}

} // namespace

SipHash::SipHash() : key_{} {
  if (::getrandom(key_.data(), sizeof key_, 0) != sizeof key_) throw Error(Status::Internal, "getrandom gave no bytes");
}

std::uint64_t SipHash::operator()(std::string_view text) const noexcept {
  State state{key_[0] ^ 0x736f6d6570736575ULL, key_[1] ^ 0x646f72616e646f6dULL, key_[0] ^ 0x6c7967656e657261ULL,
              key_[1] ^ 0x7465646279746573ULL};
  const std::uint64_t length = static_cast<std::uint64_t>(text.size()) << 56;
  for (; text.size() >= 8; text.remove_prefix(8))
    state.take(wordOf(text.substr(0, 8)));
  state.take(wordOf(text) | length);
  state.v2 ^= 0xff;
  state.rounds(4);
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

} // namespace matrixos::common
