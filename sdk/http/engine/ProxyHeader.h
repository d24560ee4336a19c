/// http/engine/ProxyHeader.h: the PROXY protocol, versions 1 and 2: what a load balancer says of the client before its
/// first byte (https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt).
#pragma once

#include <matrixos/address.hpp>

#include <http/codec/Head.h>

#include <cstddef>
#include <optional>
#include <string_view>

namespace matrixos::http {

/// The header at the start of a connection.
struct ProxyHeader {
  std::size_t size = 0;
  /// Where the client comes from; none when the sender speaks for itself (LOCAL) or does not know (UNKNOWN).
  std::optional<Address> client;

  /// Longest header that is taken: version 2 may carry extensions, which are skipped.
  static constexpr std::size_t kMost = 2048;

  /// `data` starts at the first byte of the connection. NeedMore only while it can still become a header.
  static ParseResult parse(std::string_view data, ProxyHeader &out);
};

} // namespace matrixos::http
