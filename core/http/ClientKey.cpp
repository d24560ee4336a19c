#include "http/ClientKey.h"

#include "auth/Authenticator.h"

#include <http/codec/Grammar.h>
#include <http/engine/ClientExchange.h>
#include <http/engine/PeerShares.h>
#include <unistd.h>

#include <algorithm>

namespace matrixos::api {

namespace {

Address::Bytes keyOf(const Address &address) {
  static const Address::Bytes loopback6 = Address::fromIp("::1", 0).bytes();
  static const Address::Bytes loopback4 = Address::fromIp("127.0.0.1", 0).bytes();
  const Address::Bytes bytes = address.bytes();
  const bool local = bytes == loopback6 || std::equal(bytes.begin(), bytes.begin() + 13, loopback4.begin());
  return local ? loopback4 : http::PeerShares::keyOf(address);
}

} // namespace

std::optional<Address> clientAddress(http::ClientExchange &exchange) {
  if (!exchange.peer().isUnix()) return exchange.peer();
  if (static_cast<auth::ApiSocket>(exchange.listenerTag()) != auth::ApiSocket::Api) return std::nullopt;
  const auto peer = exchange.peerProcess();
  const http::FieldList &fields = exchange.request().fields;
  // The proxy writes one address, in place of whatever came.
  if (!peer || peer->pid != ::getpid() || fields.count(http::Name::XForwardedFor) != 1) return std::nullopt;
  return Address::tryIp(http::trim(fields.value(http::Name::XForwardedFor)));
}

Address::Bytes clientKey(const std::optional<Address> &from) {
  return from ? keyOf(*from) : Address::Bytes{};
}

} // namespace matrixos::api
