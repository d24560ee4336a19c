/// http/client/PublicAddress.h: which addresses belong to everybody.
#pragma once

#include <sys/socket.h>

namespace matrixos::http {

/// Whether an address is one of the public internet. All others answer for this machine or its surroundings: loopback,
/// link-local (metadata services of clouds), private and shared networks, documentation, multicast, whatever the
/// registries of special purposes (RFC 6890, IANA) set apart. An IPv4 address inside an IPv6 one (mapped, RFC 4291
/// §2.5.5.2; translated, RFC 6052) is judged as such.
bool isPublicAddress(const sockaddr *address) noexcept;

} // namespace matrixos::http
