/// HeaderPolicy.h: what of a request reaches an upstream, and what of its answer the client.
#pragma once

#include "TrustedPeers.h"

#include <http/codec/Head.h>
#include <http/codec/HeadWriter.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::proxy {

/// Who is at the other end of a client connection.
struct PeerFacts {
  std::string ip;
  bool trusted = false; ///< one of trusted_peers
};

/// Who asks, as upstreams are told.
struct ClientFacts {
  std::string ip; ///< the peer's, or what a trusted peer says
  std::string_view proto = "http";
  std::string requestId;
  bool trusted = false; ///< the peer is one of trusted_peers
};

/// The one header that says where a client behind a trusted peer comes from.
enum class ClientAddress {
  Forwarded, ///< RFC 7239; also its proto
  XForwardedFor,
  CfConnectingIp, ///< by Cloudflare alone: any other front passes on what the client itself wrote
  Peer            ///< none: the peer is the client
};

/// Whose answer it is.
enum class Answerer {
  Api,
  Instance,      ///< on a host of its own
  InstanceByPath ///< on one of the platform's: its documents get an origin of their own, and nothing they say counts
                 ///< for the whole host (CSP sandbox, https://www.w3.org/TR/CSP3/#directive-sandbox)
};

/// Credentials and identities stop here: a tenant never sees the platform's cookies or secret, nobody can claim to
/// be another client or another user, a tenant's cookie stays on the tenant's own host, and what a tenant says to
/// fronts ahead of us does not reach them.
class HeaderPolicy {
public:
  /// `secret`: the platform's bearer token, `metricsToken`: what opens its metrics; empty when there is none to
  /// protect.
  explicit HeaderPolicy(TrustedPeers trusted, std::string secret = {}, std::string metricsToken = {},
                        ClientAddress source = ClientAddress::XForwardedFor);

  PeerFacts peer(const Address &address) const { return {address.ip(), trusted_.contains(address)}; }
  bool trusts(const Address &peer) const { return trusted_.contains(peer); }
  /// Fills in what can be said about the client of a request; the id that stands in `out` is kept unless a trusted
  /// peer brought one.
  void describe(const http::RequestHead &head, const PeerFacts &peer, bool encrypted, ClientFacts &out) const;

  /// Whether the request comes from who has the platform's secret.
  bool knowsSecret(const http::RequestHead &head) const noexcept;
  /// A secret stands in the address: an instance must not see the request, in whatever form.
  bool tellsSecret(const http::RequestHead &head) const noexcept { return holds(head.target) || holds(head.host); }

  using AddedFields = std::vector<std::pair<std::string, std::string>>;

  /// Writes the end-to-end fields for an upstream. toTenant: an instance, not the platform's API. `added` takes the
  /// place of what the client sent under these names.
  void writeRequest(const http::RequestHead &head, const ClientFacts &facts, bool toTenant, const AddedFields &added,
                    http::HeadWriter &writer) const;
  /// Writes the end-to-end fields of an upstream's answer to a request for `host`.
  void writeResponse(const http::ResponseHead &head, Answerer from, std::string_view host, std::string_view requestId,
                     http::HeadWriter &writer) const;

private:
  bool holds(std::string_view text) const noexcept;
  bool holds(const http::Field &field) const noexcept { return holds(field.value) || holds(field.name); }
  void readClientAddress(const http::FieldList &fields, ClientFacts &out) const;

  TrustedPeers trusted_;
  std::string secret_;
  std::string metricsToken_;
  ClientAddress source_;
};

/// A Cookie value without the platform's own cookies.
std::string withoutPlatformCookies(std::string_view cookies);

/// A tenant's Set-Cookie value as it may be passed on: without a Domain other than exactly `host`; empty when the whole
/// cookie is refused because it bears one of the platform's names.
std::string tenantCookie(std::string_view cookie, std::string_view host);

} // namespace matrixos::proxy
