#include "TrustedPeers.h"

#include <matrixos/status.hpp>

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace matrixos::proxy {

namespace {

constexpr unsigned kMapped = 96;

/// The 16 bytes of an address; false when it is none. `v4`: it was an IPv4 one.
bool parseIp(const std::string &text, std::array<std::uint8_t, 16> &out, bool &v4) {
  out = {};
  v4 = ::inet_pton(AF_INET, text.c_str(), out.data() + 12) == 1;
  if (v4) {
    out[10] = out[11] = 0xFF;
    return true;
  }
  return ::inet_pton(AF_INET6, text.c_str(), out.data()) == 1;
}

} // namespace

TrustedPeers::TrustedPeers(const std::vector<std::string> &list) {
  for (const std::string &text : list) {
    if (text == "unix") {
      unix_ = true;
      continue;
    }
    const std::size_t slash = text.find('/');
    Network network;
    bool v4 = false;
    unsigned bits = 0;
    bool fine = parseIp(text.substr(0, slash), network.address, v4);
    if (fine && slash != std::string::npos) {
      const char *end = text.data() + text.size();
      const auto read = std::from_chars(text.data() + slash + 1, end, bits);
      fine = read.ec == std::errc{} && read.ptr == end && bits <= (v4 ? 32U : 128U);
      network.bits = v4 ? bits + kMapped : bits;
    }
    if (!fine)
      throw Error(Status::InvalidArgument,
                  "trusted_peers: \"" + text + "\" is no address or network, and not \"unix\"");
    networks_.push_back(network);
  }
}

bool TrustedPeers::contains(const http::Address &peer) const {
  if (peer.isUnix()) return unix_;
  if (networks_.empty()) return false;
  Bytes bytes{};
  bool v4 = false;
  if (!parseIp(peer.ip(), bytes, v4)) return false;
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
