#include "Authority.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <stdexcept>

namespace stand {

namespace {

constexpr long kDay = 24 * 3600;

std::shared_ptr<EVP_PKEY> makeKey() {
  return {EVP_EC_gen("P-256"), EVP_PKEY_free};
}

void extend(X509 *certificate, int kind, const std::string &value) {
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
  if (extension == nullptr) throw std::runtime_error("extension " + value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

std::shared_ptr<X509> make(EVP_PKEY *key, const std::string &name, long from, long to) {
  static std::atomic<long> serial{0};
  std::shared_ptr<X509> out(X509_new(), X509_free);
  X509_set_version(out.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(out.get()), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(out.get()), from * kDay);
  X509_gmtime_adj(X509_getm_notAfter(out.get()), to * kDay);
  X509_set_pubkey(out.get(), key);
  if (!name.empty())
    X509_NAME_add_entry_by_txt(X509_get_subject_name(out.get()), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char *>(name.c_str()), -1, -1, 0);
  return out;
}

std::string joined(const std::vector<std::string> &names) {
  std::string out;
  for (const std::string &name : names)
    out += (out.empty() ? "" : ",") + (name.rfind("IP:", 0) == 0 ? name : "DNS:" + name);
  return out;
}

} // namespace

Authority::Authority() {
  own_.key = makeKey();
  static std::atomic<int> last{0};
  own_.shown = make(own_.key.get(), "Test authority " + std::to_string(++last), -10, 10);
  X509_set_issuer_name(own_.shown.get(), X509_get_subject_name(own_.shown.get()));
  extend(own_.shown.get(), NID_basic_constraints, "critical,CA:TRUE");
  X509_sign(own_.shown.get(), own_.key.get(), EVP_sha256());
}

Certificate Authority::issue(const CertificateText &text) const {
  Certificate out;
  out.key = makeKey();
  out.shown = make(out.key.get(), text.commonName, text.fromDays, text.toDays);
  X509_set_issuer_name(out.shown.get(), X509_get_subject_name(own_.shown.get()));
  if (!text.names.empty()) extend(out.shown.get(), NID_subject_alt_name, joined(text.names));
  X509_sign(out.shown.get(), own_.key.get(), EVP_sha256());
  return out;
}

std::string Authority::pem() const {
  const std::unique_ptr<BIO, int (*)(BIO *)> memory(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_X509(memory.get(), own_.shown.get());
  char *text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

} // namespace stand
