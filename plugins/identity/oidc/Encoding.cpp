#include "Encoding.h"

#include <matrixos/status.hpp>
#include <matrixos/text/base64.hpp>

#include <http/client/PercentEncoding.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>

namespace matrixos::identity {

namespace {

std::string digest(const EVP_MD *kind, std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned int size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), out.data(), &size, kind, nullptr) != 1)
    throw Error(Status::Internal, "OpenSSL cannot make a digest");
  return std::string(out.begin(), out.begin() + size);
}

} // namespace

std::string base64Url(std::string_view bytes) {
  std::string text = base64Encode(bytes, Base64::Url);
  text.erase(text.find_last_not_of('=') + 1);
  return text;
}

std::optional<std::string> fromBase64Url(std::string_view text) {
  if (text.find('=') != std::string_view::npos) return std::nullopt;
  return base64Decode(text, Base64::Url);
}

std::string sha256(std::string_view bytes) {
  return digest(EVP_sha256(), bytes);
}

std::string sha512(std::string_view bytes) {
  return digest(EVP_sha512(), bytes);
}

std::string randomText() {
  std::array<unsigned char, 32> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
    throw Error(Status::Unavailable, "The system has no randomness for a sign-in", "NO_RANDOMNESS");
  return base64Url({reinterpret_cast<const char *>(bytes.data()), bytes.size()});
}

std::string formEncode(const std::vector<std::pair<std::string, std::string>> &fields) {
  std::string text;
  for (const auto &[name, value] : fields)
    text += (text.empty() ? "" : "&") + http::percentEncode(name) + "=" + http::percentEncode(value);
  return text;
}

} // namespace matrixos::identity
