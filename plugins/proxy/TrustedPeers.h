/// TrustedPeers.h: peers whose word about the client is believed.
#pragma once

#include <matrixos/address.hpp>

#include <string>
#include <vector>

namespace matrixos::proxy {

/// A list of addresses and networks, "10.0.0.0/8" or "::1"; "unix" stands for all who come through UNIX sockets.
class TrustedPeers {
public:
  /// Throws matrixos::Error(InvalidArgument) that names the bad entry.
  explicit TrustedPeers(const std::vector<std::string> &list);
  bool contains(const Address &peer) const;

private:
  struct Network {
    Address::Bytes address{};
    unsigned bits = 128;
  };
  std::vector<Network> networks_;
  bool unix_ = false;
};

} // namespace matrixos::proxy
