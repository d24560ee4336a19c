#include "Encoding.h"

#include <matrixos/status.hpp>
#include <matrixos/text/base64.hpp>
#include <matrixos/text/hex.hpp>

#include <http/client/PercentEncoding.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
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

std::optional<std::string> formDecodeOne(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      out += text[at] == '+' ? ' ' : text[at];
      continue;
    }
    const int high = at + 2 < text.size() ? hexValue(text[at + 1]) : -1;
    const int low = high < 0 ? -1 : hexValue(text[at + 2]);
    if (low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    at += 2;
  }
  return out;
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

std::optional<std::multimap<std::string, std::string>> formDecode(std::string_view text) {
  std::multimap<std::string, std::string> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const auto name = formDecodeOne(pair.substr(0, equals));
    const auto value = formDecodeOne(pair.substr(std::min(equals + 1, pair.size())));
    if (!name || !value) return std::nullopt;
    out.emplace(*name, *value);
  }
  return out;
}

std::string formEncode(const std::vector<std::pair<std::string, std::string>> &fields) {
  std::string text;
  for (const auto &[name, value] : fields)
    text += (text.empty() ? "" : "&") + http::percentEncode(name) + "=" + http::percentEncode(value);
  return text;
}

} // namespace matrixos::identity
