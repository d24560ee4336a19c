/// http/engine/TlsSetup.h: what both sides of TLS have in common; internal.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

namespace matrixos::http {

/// TLS 1.2 or later, without renegotiation and compression, for sockets that never block. Throws matrixos::Error.
std::shared_ptr<SSL_CTX> makeTlsContext(const SSL_METHOD *method);

/// The oldest entry of this thread's queue of errors in words; the queue is empty then.
std::string takeTlsError();

/// The one protocol that is spoken here, as ALPN writes it (RFC 7301 §3.1).
inline constexpr unsigned char kAlpnHttp11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

} // namespace matrixos::http
