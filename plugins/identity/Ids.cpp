// The low-level functions allocate nothing and look nothing up, which those of EVP do for each digest.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "Ids.h"

#include "oidc/Encoding.h"

#include <matrixos/text/base64.hpp>
#include <matrixos/text/hex.hpp>

#include <openssl/sha.h>

#include <algorithm>

namespace matrixos::identity {

namespace {

std::string_view viewOf(const std::array<unsigned char, 32> &bytes) noexcept {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

} // namespace

std::string makeId() {
  return randomText();
}

bool isId(std::string_view text) noexcept {
  return text.size() == kIdLength &&
         std::all_of(text.begin(), text.end(), [](char c) { return detail::base64Value(c, Base64::Url) >= 0; });
}

Digest Digest::of(std::string_view text) noexcept {
  Digest digest;
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, text.data(), text.size());
  SHA256_Final(digest.bytes.data(), &context);
  return digest;
}

Digest Digest::fromHex(std::string_view text) noexcept {
  Digest digest;
  if (text.size() != digest.bytes.size() * 2) return digest;
  for (std::size_t i = 0; i < digest.bytes.size(); ++i) {
    const int high = hexValue(text[2 * i]), low = hexValue(text[2 * i + 1]);
    if (high < 0 || low < 0) return {};
    digest.bytes[i] = static_cast<unsigned char>(high * 16 + low);
  }
  return digest;
}

std::string Digest::hex() const {
  return toHex(viewOf(bytes));
}

std::string Digest::text() const {
  return base64Url(viewOf(bytes));
}

} // namespace matrixos::identity
