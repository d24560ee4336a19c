#include "Signature.h"

#include <matrixos/status.hpp>
#include <matrixos/text/base64.hpp>
#include <matrixos/text/hex.hpp>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <optional>
#include <string>

namespace matrixos::signup {

namespace {

constexpr std::size_t kMaxId = 256;
constexpr std::size_t kMaxSignatures = 16;
constexpr std::size_t kHexDigest = 64; // of SHA-256

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") + 1 - first);
}

std::string hmacSha256(const Secret &key, std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const std::string_view part : parts)
    text += part;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  const unsigned char *made =
      ::HMAC(EVP_sha256(), key.reveal().data(), static_cast<int>(key.reveal().size()),
             reinterpret_cast<const unsigned char *>(text.data()), text.size(), digest.data(), &size);
  if (made == nullptr) throw Error(Status::Internal, "no HMAC could be made");
  return {reinterpret_cast<const char *>(digest.data()), size};
}

/// Whole seconds since 1970; digits alone.
std::optional<std::int64_t> secondsOf(std::string_view text) {
  if (text.empty() || text.size() > 12) return std::nullopt;
  std::int64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

bool isFresh(std::int64_t then, std::int64_t now) {
  return then >= now - kToleranceSeconds && then <= now + kToleranceSeconds;
}

/// The id is signed with dots around it: one with a dot could pass a part of itself off as the time.
bool isId(std::string_view id) {
  if (id.empty() || id.size() > kMaxId) return false;
  for (const char c : id)
    if (c <= ' ' || c > '~' || c == '.') return false;
  return true;
}

template <typename Key>
std::vector<Secret> keysOf(std::string_view text, Key &&key) {
  std::vector<Secret> keys;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = trimmed(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (!line.empty()) keys.push_back(key(line));
  }
  return keys;
}

} // namespace

std::vector<Secret> webhookKeys(std::string_view text) {
  return keysOf(text, [](std::string_view line) {
    if (line.substr(0, 6) == "whsec_") line.remove_prefix(6);
    auto key = base64Decode(line);
    if (!key) throw Error(Status::InvalidArgument, "is no base64 behind whsec_; copy it from the endpoint's page anew");
    if (key->empty()) throw Error(Status::InvalidArgument, "has an empty key, with which anybody could sign");
    return Secret(*key);
  });
}

std::vector<Secret> inngestKeys(std::string_view text) {
  return keysOf(text, [](std::string_view line) {
    if (line.substr(0, 8) == "signkey-") {
      const std::size_t dash = line.find('-', 8);
      line.remove_prefix(dash == std::string_view::npos ? line.size() : dash + 1);
    }
    if (line.empty()) throw Error(Status::InvalidArgument, "has an empty key, with which anybody could sign");
    return Secret(line);
  });
}

Verdict checkWebhook(const std::vector<Secret> &keys, const WebhookFields &fields, std::string_view body,
                     std::int64_t nowSeconds) {
  if (fields.id.empty() || fields.timestamp.empty() || fields.signature.empty()) return Verdict::Missing;
  const auto then = secondsOf(fields.timestamp);
  if (!then || !isId(fields.id)) return Verdict::Bad;
  if (!isFresh(*then, nowSeconds)) return Verdict::Stale;
  bool isGood = false;
  for (const Secret &key : keys) {
    const Secret wanted(base64Encode(hmacSha256(key, {fields.id, ".", fields.timestamp, ".", body}), Base64::Standard));
    std::string_view rest = fields.signature;
    for (std::size_t count = 0; !rest.empty() && count < kMaxSignatures; ++count) {
      const std::size_t blank = rest.find(' ');
      const std::string_view one = rest.substr(0, blank);
      rest = blank == std::string_view::npos ? std::string_view() : rest.substr(blank + 1);
      // All of them are compared, whatever came of those before.
      if (one.substr(0, 3) == "v1," && wanted.equals(one.substr(3))) isGood = true;
    }
  }
  return isGood ? Verdict::Good : Verdict::Bad;
}

Verdict peekInngest(std::string_view field, std::int64_t nowSeconds) {
  if (field.empty()) return Verdict::Missing;
  const std::size_t ampersand = field.find('&');
  if (field.substr(0, 2) != "t=" || ampersand == std::string_view::npos || field.substr(ampersand, 3) != "&s=" ||
      field.size() != ampersand + 3 + kHexDigest)
    return Verdict::Bad;
  const auto then = secondsOf(field.substr(2, ampersand - 2));
  if (!then) return Verdict::Bad;
  return isFresh(*then, nowSeconds) ? Verdict::Good : Verdict::Stale;
}

Verdict checkInngest(const std::vector<Secret> &keys, std::string_view field, std::string_view body,
                     std::int64_t nowSeconds) {
  const Verdict seen = peekInngest(field, nowSeconds);
  if (seen != Verdict::Good) return seen;
  const std::size_t ampersand = field.find('&');
  bool isGood = false;
  for (const Secret &key : keys) {
    const Secret wanted(toHex(hmacSha256(key, {body, field.substr(2, ampersand - 2)})));
    if (wanted.equals(field.substr(ampersand + 3))) isGood = true;
  }
  return isGood ? Verdict::Good : Verdict::Bad;
}

} // namespace matrixos::signup
