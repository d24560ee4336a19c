/// An authority that signs what a test wants.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

namespace stand {

/// What stands in a certificate.
struct CertificateText {
  std::vector<std::string> names{"up.example"}; ///< subjectAltName; "IP:127.0.0.1" for an address
  std::string commonName{};
  long fromDays = -1;
  long toDays = 1;
};

struct Certificate {
  std::shared_ptr<X509> shown;
  std::shared_ptr<EVP_PKEY> key;
};

class Authority {
public:
  Authority();
  Certificate issue(const CertificateText &text = {}) const;
  /// The certificate of the authority in PEM.
  std::string pem() const;

private:
  Certificate own_;
};

} // namespace stand
