#include "InstanceToken.h"

#include <matrixos/status.hpp>
#include <matrixos/text/base64.hpp>
#include <matrixos/text/hex.hpp>

#include <http/codec/Bearer.h>
#include <openssl/evp.h>
#include <sys/random.h>

#include <array>

namespace matrixos::orchestrator {

InstanceToken InstanceToken::make() {
  std::array<char, 32> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    throw Error(Status::Unavailable, "the system has no randomness for an instance's token", "NO_RANDOMNESS");
  InstanceToken token;
  token.text = base64Encode({bytes.data(), bytes.size()}, Base64::Url);
  token.text.pop_back(); // 32 bytes are padded with one "="
  token.text.insert(0, http::kInstanceTokenPrefix);
  token.hash = hashOf(token.text);
  return token;
}

std::string InstanceToken::hashOf(std::string_view text) {
  std::array<char, 32> digest{};
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char *>(digest.data()), &size, EVP_sha256(),
                 nullptr) != 1)
    throw Error(Status::Internal, "SHA-256 is not to be had");
  return toHex({digest.data(), digest.size()});
}

} // namespace matrixos::orchestrator
