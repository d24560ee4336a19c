#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>
#include <string_view>

namespace matrixos::test {

/// base64url without padding (RFC 7515 §2).
std::string base64Url(std::string_view bytes);
/// SHA-256 of it.
std::string sha256(std::string_view bytes);

/// A key pair that issuers of tests sign with. Any thread.
class SigningKey {
public:
  enum class Kind { Rsa, Pss, P256, P384, Ed25519 };

  /// A new pair; `bits` is for RSA.
  explicit SigningKey(Kind kind = Kind::P256, std::string kid = "k1", unsigned bits = 2048);

  const std::string &kid() const noexcept { return kid_; }
  /// "ES256"
  std::string algorithm() const;
  /// The public half as a JSON Web Key, with `more` members in front: `"use":"sig",`.
  std::string jwk(const std::string &more = {}) const;
  std::string publicPem() const;
  std::string privatePem() const;

  /// As JSON Web Signatures have it.
  std::string sign(std::string_view bytes) const;
  /// ECDSA as OpenSSL has it.
  std::string derSignature(std::string_view bytes) const;
  /// A JSON Web Token (RFC 7515 §7.1) of these two texts, whatever they are.
  std::string token(std::string_view header, std::string_view payload) const;
  /// With a header that names algorithm and key.
  std::string token(std::string_view payload) const;

private:
  std::string number(const char *name, int size = 0) const;

  Kind kind_;
  std::string kid_;
  std::shared_ptr<EVP_PKEY> key_;
};

} // namespace matrixos::test
