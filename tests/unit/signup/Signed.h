/// Signs as senders of webhooks do, with code of its own.
#pragma once

#include <matrixos/text/base64.hpp>
#include <matrixos/text/hex.hpp>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

namespace matrixos::test {

/// The secret of the public vector of Standard Webhooks.
inline constexpr char kWebhookSecret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

inline std::string hmacSha256(const std::string &key, const std::string &text) {
  std::array<unsigned char, 32> digest{};
  ::HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char *>(text.data()),
         text.size(), digest.data(), nullptr);
  return {reinterpret_cast<const char *>(digest.data()), digest.size()};
}

using SignedFields = std::vector<std::pair<std::string, std::string>>;

/// The three fields of a delivery.
inline SignedFields signedFields(const std::string &id, std::int64_t seconds, const std::string &body,
                                 const std::string &secret = kWebhookSecret, const std::string &prefix = "svix") {
  const std::string time = std::to_string(seconds);
  const std::string key = base64Decode(secret.substr(6)).value();
  return {{prefix + "-id", id},
          {prefix + "-timestamp", time},
          {prefix + "-signature", "v1," + base64Encode(hmacSha256(key, id + "." + time + "." + body))}};
}

/// The field of a call by Inngest; the key without its prefix.
inline std::string inngestField(const std::string &key, std::int64_t seconds, const std::string &body) {
  const std::string time = std::to_string(seconds);
  return "t=" + time + "&s=" + toHex(hmacSha256(key, body + time));
}

/// An event of Clerk's about a user.
inline std::string userEvent(const std::string &type, const std::string &userId, const std::string &username = {},
                             const std::string &email = {}, std::int64_t updatedAt = 0) {
  std::string data = R"({"id":")" + userId + R"(","object":"user")";
  if (type != "user.deleted") {
    data +=
        R"(,"primary_email_address_id":"idn_1","email_addresses":[{"id":"idn_0","email_address":"old@example.org"},)"
        R"({"id":"idn_1","email_address":")" +
        email + R"("}],"username":)" + (username.empty() ? "null" : "\"" + username + "\"") + R"(,"updated_at":)" +
        std::to_string(updatedAt);
  } else {
    data += R"(,"deleted":true)";
  }
  return R"({"data":)" + data + R"(},"object":"event","timestamp":1654012591835,"type":")" + type + "\"}";
}

} // namespace matrixos::test
