#include "SigningKey.h"

#include <matrixos/text/base64.hpp>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <array>
#include <cstddef>
#include <stdexcept>
#include <utility>
#include <vector>

namespace matrixos::test {

namespace {

const unsigned char *bytesOf(std::string_view text) {
  return reinterpret_cast<const unsigned char *>(text.data());
}

void must(bool good) {
  if (!good) throw std::runtime_error("OpenSSL cannot do what a test wants");
}

EVP_PKEY *generate(SigningKey::Kind kind, unsigned bits) {
  switch (kind) {
  case SigningKey::Kind::P256:
    return EVP_EC_gen("P-256");
  case SigningKey::Kind::P384:
    return EVP_EC_gen("P-384");
  case SigningKey::Kind::Ed25519:
    return EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  default:
    return EVP_RSA_gen(bits);
  }
}

std::string text(BIO *bio) {
  char *data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string out(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  return out;
}

} // namespace

std::string base64Url(std::string_view bytes) {
  std::string text = base64Encode(bytes, Base64::Url);
  text.erase(text.find_last_not_of('=') + 1);
  return text;
}

std::string sha256(std::string_view bytes) {
  std::array<unsigned char, 32> out{};
  must(EVP_Digest(bytes.data(), bytes.size(), out.data(), nullptr, EVP_sha256(), nullptr) == 1);
  return {out.begin(), out.end()};
}

SigningKey::SigningKey(Kind kind, std::string kid, unsigned bits)
    : kind_(kind), kid_(std::move(kid)), key_(generate(kind, bits), EVP_PKEY_free) {
  must(key_ != nullptr);
}

std::string SigningKey::algorithm() const {
  switch (kind_) {
  case Kind::Rsa:
    return "RS256";
  case Kind::Pss:
    return "PS256";
  case Kind::P256:
    return "ES256";
  case Kind::P384:
    return "ES384";
  case Kind::Ed25519:
    break;
  }
  return "EdDSA";
}

std::string SigningKey::number(const char *name, int size) const {
  BIGNUM *number = nullptr;
  must(EVP_PKEY_get_bn_param(key_.get(), name, &number) == 1);
  std::string bytes(static_cast<std::size_t>(size != 0 ? size : BN_num_bytes(number)), '\0');
  must(BN_bn2binpad(number, reinterpret_cast<unsigned char *>(bytes.data()), static_cast<int>(bytes.size())) >= 0);
  BN_free(number);
  return base64Url(bytes);
}

std::string SigningKey::jwk(const std::string &more) const {
  std::string out = "{" + more + (kid_.empty() ? "" : "\"kid\":\"" + kid_ + "\",");
  if (kind_ == Kind::Rsa || kind_ == Kind::Pss)
    return out + (kind_ == Kind::Pss ? R"("alg":"PS256",)" : "") + R"("kty":"RSA","n":")" +
           number(OSSL_PKEY_PARAM_RSA_N) + R"(","e":")" + number(OSSL_PKEY_PARAM_RSA_E) + "\"}";
  if (kind_ != Kind::Ed25519) {
    const int size = kind_ == Kind::P256 ? 32 : 48;
    return out + R"("kty":"EC","crv":")" + (kind_ == Kind::P256 ? "P-256" : "P-384") + R"(","x":")" +
           number(OSSL_PKEY_PARAM_EC_PUB_X, size) + R"(","y":")" + number(OSSL_PKEY_PARAM_EC_PUB_Y, size) + "\"}";
  }
  std::string raw(32, '\0');
  std::size_t size = raw.size();
  must(EVP_PKEY_get_raw_public_key(key_.get(), reinterpret_cast<unsigned char *>(raw.data()), &size) == 1);
  return out + R"("kty":"OKP","crv":"Ed25519","x":")" + base64Url(raw) + "\"}";
}

std::string SigningKey::publicPem() const {
  BIO *bio = BIO_new(BIO_s_mem());
  must(PEM_write_bio_PUBKEY(bio, key_.get()) == 1);
  return text(bio);
}

std::string SigningKey::privatePem() const {
  BIO *bio = BIO_new(BIO_s_mem());
  must(PEM_write_bio_PrivateKey(bio, key_.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return text(bio);
}

std::string SigningKey::derSignature(std::string_view bytes) const {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX *)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_PKEY_CTX *parameters = nullptr;
  const EVP_MD *hash = kind_ == Kind::Ed25519 ? nullptr : kind_ == Kind::P384 ? EVP_sha384() : EVP_sha256();
  must(EVP_DigestSignInit(context.get(), &parameters, hash, nullptr, key_.get()) == 1);
  if (kind_ == Kind::Pss)
    must(EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1);
  std::size_t size = 0;
  must(EVP_DigestSign(context.get(), nullptr, &size, bytesOf(bytes), bytes.size()) == 1);
  std::string out(size, '\0');
  must(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char *>(out.data()), &size, bytesOf(bytes),
                      bytes.size()) == 1);
  out.resize(size);
  return out;
}

std::string SigningKey::sign(std::string_view bytes) const {
  const std::string der = derSignature(bytes);
  if (kind_ != Kind::P256 && kind_ != Kind::P384) return der;
  const int size = kind_ == Kind::P256 ? 32 : 48;
  const unsigned char *at = bytesOf(der);
  ECDSA_SIG *pair = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
  must(pair != nullptr);
  std::vector<unsigned char> out(static_cast<std::size_t>(size) * 2);
  BN_bn2binpad(ECDSA_SIG_get0_r(pair), out.data(), size);
  BN_bn2binpad(ECDSA_SIG_get0_s(pair), out.data() + size, size);
  ECDSA_SIG_free(pair);
  return {out.begin(), out.end()};
}

std::string SigningKey::token(std::string_view header, std::string_view payload) const {
  const std::string input = base64Url(header) + "." + base64Url(payload);
  return input + "." + base64Url(sign(input));
}

std::string SigningKey::token(std::string_view payload) const {
  return token(R"({"alg":")" + algorithm() + R"(","typ":"JWT","kid":")" + kid_ + "\"}", payload);
}

} // namespace matrixos::test
