#pragma once

#include <matrixos/address.hpp>

namespace matrixos::http {
class ClientExchange;
}

namespace matrixos::api {

/// Who a request comes from, for limits: an IPv4 address, an IPv6 /64, or this machine, whichever of its addresses it
/// is; all zero where nobody says it. Clients cannot choose it: on TCP it is the peer, and of those on a UNIX socket
/// the daemon's own proxy alone is believed.
Address::Bytes clientKey(http::ClientExchange &exchange);

} // namespace matrixos::api
