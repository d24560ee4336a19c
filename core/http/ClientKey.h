#pragma once

#include <matrixos/address.hpp>

#include <optional>

namespace matrixos::http {
class ClientExchange;
}

namespace matrixos::api {

/// The address that a request comes from; nothing where nobody says it. Clients cannot choose it: on TCP it is the
/// peer, and of those on a UNIX socket the daemon's own proxy alone is believed.
std::optional<Address> clientAddress(http::ClientExchange &exchange);

/// Whom limits count it for: an IPv4 address, an IPv6 /64, or this machine, whichever of its addresses it is; all zero
/// where nobody says it.
Address::Bytes clientKey(const std::optional<Address> &from);

} // namespace matrixos::api
