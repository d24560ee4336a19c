#include "http/ClientKey.h"

#include <http/codec/Grammar.h>
#include <http/engine/ClientExchange.h>
#include <http/engine/PeerShares.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

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

Address::Bytes clientKey(http::ClientExchange &exchange) {
  if (!exchange.peer().isUnix()) return keyOf(exchange.peer());
  const auto peer = exchange.peerProcess();
  const http::FieldList &fields = exchange.request().fields;
  // The proxy writes one address, in place of whatever came.
  if (!peer || peer->pid != ::getpid() || fields.count(http::Name::XForwardedFor) != 1) return {};
  const auto address = Address::tryIp(http::trim(fields.value(http::Name::XForwardedFor)));
  return address ? keyOf(*address) : Address::Bytes{};
}

} // namespace matrixos::api
