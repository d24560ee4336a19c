#include "PublicKey.h"

#include "Encoding.h"

#include <matrixos/status.hpp>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>
#include <cstddef>

namespace matrixos::identity {

namespace {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T *object) const noexcept {
    Free(object);
  }
};
using Number = std::unique_ptr<BIGNUM, Freer<BN_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Freer<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Freer<OSSL_PARAM_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freer<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Freer<EVP_MD_CTX_free>>;
using EcdsaPair = std::unique_ptr<ECDSA_SIG, Freer<ECDSA_SIG_free>>;

constexpr int kMinRsaBits = 2048;
/// Verifying with a longer one costs a stranger nothing and us much.
constexpr int kMaxRsaBits = 8192;
constexpr int kMaxExponentBits = 64;
constexpr std::size_t kCoordinate = 32;

const unsigned char *bytesOf(std::string_view text) noexcept {
  return reinterpret_cast<const unsigned char *>(text.data());
}

/// A failure leaves its reasons in the thread's queue, where others would take them for theirs.
struct ForgetErrors {
  ForgetErrors() = default;
  ForgetErrors(const ForgetErrors &) = delete;
  ForgetErrors &operator=(const ForgetErrors &) = delete;
  ~ForgetErrors() { ERR_clear_error(); }
};

std::optional<std::string_view> member(const Json &jwk, const char *name) {
  const std::string *text = textIn(jwk, name);
  return text == nullptr ? std::nullopt : std::optional<std::string_view>(*text);
}

std::string decoded(const Json &jwk, const char *name) {
  return fromBase64Url(member(jwk, name).value_or("")).value_or("");
}

Number numberOf(std::string_view bytes) {
  return Number(BN_bin2bn(bytesOf(bytes), static_cast<int>(bytes.size()), nullptr));
}

EVP_PKEY *build(const char *type, OSSL_PARAM_BLD *builder) {
  const Params params(OSSL_PARAM_BLD_to_param(builder));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY *key = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1)
    return nullptr;
  return key;
}

EVP_PKEY *rsaKey(const Json &jwk) {
  const std::string modulus = decoded(jwk, "n"), exponent = decoded(jwk, "e");
  if (modulus.empty() || modulus.size() > kMaxRsaBits / 8 || exponent.empty() || exponent.size() > kMaxExponentBits / 8)
    return nullptr;
  const Number n = numberOf(modulus), e = numberOf(exponent);
  const Builder builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
  return build("RSA", builder.get());
}

EVP_PKEY *ecKey(const Json &jwk) {
  const std::string x = decoded(jwk, "x"), y = decoded(jwk, "y");
  if (member(jwk, "crv") != "P-256" || x.size() != kCoordinate || y.size() != kCoordinate) return nullptr;
  const std::string point = '\x04' + x + y; // SEC 1 §2.3.3, uncompressed; OpenSSL refuses one that is not on the curve
  const Builder builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
  return build("EC", builder.get());
}

EVP_PKEY *edwardsKey(const Json &jwk) {
  const std::string x = decoded(jwk, "x");
  if (member(jwk, "crv") != "Ed25519" || x.size() != kCoordinate) return nullptr;
  return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytesOf(x), x.size());
}

EVP_PKEY *keyOf(const Json &jwk) {
  const auto type = member(jwk, "kty");
  if (type == "RSA") return rsaKey(jwk);
  if (type == "EC") return ecKey(jwk);
  if (type == "OKP") return edwardsKey(jwk);
  return nullptr;
}

/// What the key's owner says that it is for (RFC 7517 §4.2, §4.3).
bool isForVerifying(const Json &jwk) {
  if (jwk.contains("use") && member(jwk, "use") != "sig") return false;
  const auto operations = jwk.find("key_ops");
  if (operations == jwk.end()) return true;
  return operations->is_array() && std::find(operations->begin(), operations->end(), "verify") != operations->end();
}

bool isGoodRsa(const EVP_PKEY *key) {
  const int bits = EVP_PKEY_get_bits(key);
  BIGNUM *exponent = nullptr;
  if (bits < kMinRsaBits || bits > kMaxRsaBits || EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) != 1)
    return false;
  const Number held(exponent);
  return BN_is_odd(exponent) == 1 && BN_is_one(exponent) == 0 && BN_num_bits(exponent) <= kMaxExponentBits;
}

/// The pair of numbers that JSON Web Signatures have (RFC 7518 §3.4), as OpenSSL wants it. Empty for anything else.
std::string derSignature(std::string_view pair) {
  if (pair.size() != 2 * kCoordinate) return {};
  Number r = numberOf(pair.substr(0, kCoordinate)), s = numberOf(pair.substr(kCoordinate));
  const EcdsaPair signature(ECDSA_SIG_new());
  // It takes both numbers.
  if (!signature || ECDSA_SIG_set0(signature.get(), r.release(), s.release()) != 1) return {};
  unsigned char *out = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &out);
  if (size <= 0) return {};
  std::string der(reinterpret_cast<const char *>(out), static_cast<std::size_t>(size));
  OPENSSL_free(out);
  return der;
}

} // namespace

std::optional<PublicKey::Algorithm> PublicKey::judge(const EVP_PKEY *key, bool pss) {
  if (EVP_PKEY_is_a(key, "ED25519") == 1) return Algorithm::EdDsa;
  if (EVP_PKEY_is_a(key, "RSA") == 1 && isGoodRsa(key)) return pss ? Algorithm::Ps256 : Algorithm::Rs256;
  std::array<char, 32> group{};
  std::size_t size = 0;
  if (EVP_PKEY_is_a(key, "EC") == 1 && EVP_PKEY_get_group_name(key, group.data(), group.size(), &size) == 1 &&
      std::string_view(group.data(), size) == "prime256v1")
    return Algorithm::Es256;
  return std::nullopt;
}

std::optional<PublicKey> PublicKey::fromJwk(const Json &jwk) {
  const ForgetErrors forget;
  if (!jwk.is_object() || !isForVerifying(jwk)) return std::nullopt;
  const Handle key(keyOf(jwk), EVP_PKEY_free);
  if (!key) return std::nullopt;
  const auto algorithm = judge(key.get(), member(jwk, "alg") == "PS256");
  if (!algorithm) return std::nullopt;
  PublicKey made(key, *algorithm);
  if (jwk.contains("alg") && !made.isCalled(member(jwk, "alg").value_or(""))) return std::nullopt;
  return made;
}

PublicKey PublicKey::fromPem(std::string_view pem) {
  const ForgetErrors forget;
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const Handle key(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  const auto algorithm = key ? judge(key.get(), false) : std::nullopt;
  if (!algorithm)
    throw Error(Status::InvalidArgument,
                "this is no public key in PEM form: RSA of 2048 to 8192 bits, EC on P-256, or Ed25519", "BAD_KEY");
  return {key, *algorithm};
}

bool PublicKey::isCalled(std::string_view alg) const noexcept {
  switch (algorithm_) {
  case Algorithm::Rs256:
    return alg == "RS256";
  case Algorithm::Ps256:
    return alg == "PS256";
  case Algorithm::Es256:
    return alg == "ES256";
  case Algorithm::EdDsa:
    return alg == "EdDSA" || alg == "Ed25519";
  }
  return false;
}

bool PublicKey::verifies(std::string_view bytes, std::string_view signature) const {
  const ForgetErrors forget;
  std::string der;
  if (algorithm_ == Algorithm::Es256) {
    der = derSignature(signature);
    signature = der;
  }
  if (signature.empty()) return false;
  const DigestContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX *parameters = nullptr; // belongs to the context
  const EVP_MD *hash = algorithm_ == Algorithm::EdDsa ? nullptr : EVP_sha256();
  if (!context || EVP_DigestVerifyInit(context.get(), &parameters, hash, nullptr, key_.get()) != 1) return false;
  // RFC 7518 §3.5: the salt is as long as the hash.
  if (algorithm_ == Algorithm::Ps256 && (EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) != 1 ||
                                         EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) != 1))
    return false;
  return EVP_DigestVerify(context.get(), bytesOf(signature), signature.size(), bytesOf(bytes), bytes.size()) == 1;
}

} // namespace matrixos::identity
