#include "TrustedPeers.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace matrixos::proxy {

TrustedPeers::TrustedPeers(const std::vector<std::string> &list) {
  for (const std::string &text : list) {
    if (text == "unix") {
      unix_ = true;
      continue;
    }
    const std::size_t slash = text.find('/');
    const auto address = Address::tryIp(std::string_view(text).substr(0, slash));
    Network network;
    bool fine = address.has_value();
    if (fine) network.address = address->bytes();
    if (fine && slash != std::string::npos) {
      const unsigned most = address->family() == AF_INET ? 32 : 128;
      const char *end = text.data() + text.size();
      unsigned bits = 0;
      const auto read = std::from_chars(text.data() + slash + 1, end, bits);
      fine = read.ec == std::errc{} && read.ptr == end && bits <= most;
      network.bits = 128 - most + bits;
    }
    if (!fine)
      throw Error(Status::InvalidArgument,
                  "trusted_peers: \"" + text + "\" is no address or network, and not \"unix\"");
    networks_.push_back(network);
  }
}

bool TrustedPeers::contains(const Address &peer) const {
  if (peer.isUnix()) return unix_;
  const Address::Bytes bytes = peer.bytes();
  return std::any_of(networks_.begin(), networks_.end(), [&](const Network &network) {
    const std::size_t whole = network.bits / 8;
    if (std::memcmp(bytes.data(), network.address.data(), whole) != 0) return false;
    const unsigned rest = network.bits % 8;
    if (rest == 0) return true;
    const unsigned mask = 0xFFU << (8 - rest);
    return ((bytes[whole] ^ network.address[whole]) & mask & 0xFFU) == 0;
  });
}

} // namespace matrixos::proxy
