/// HostRouter.h: the route stage, from a request to what shall serve it.
#pragma once

#include "HostTable.h"

#include <http/codec/Head.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::proxy {

struct RoutingDecision {
  /// Domain: the bare one, where only people have anything to look for.
  /// Site: pages of a plugin's, and the API below them; the API serves both.
  enum class Kind : std::uint8_t { Instance, Api, Site, UnknownHandle, Domain, Misdirected };
  Kind kind = Kind::Misdirected;
  bool gateway = false;      ///< for Instance: its gateway port, else its shell port
  bool byPath = false;       ///< for Instance: named in the path of a platform host
  bool slashMissing = false; ///< a "/" belongs before the target
  std::string handle;        ///< for Instance
  std::string_view target;   ///< what to ask the upstream for: a part of the request's own target

  /// The API serves it.
  bool isApi() const noexcept { return kind == Kind::Api || kind == Kind::Site; }
};

/// Routing as the architecture states it. Paths are compared as they came: nothing is decoded or normalised, so what
/// is routed is what the upstream sees.
class HostRouter {
public:
  /// As HostTable's.
  explicit HostRouter(std::string_view domain, std::string_view consoleHost = {}) : hosts_(domain, consoleHost) {}
  RoutingDecision route(const http::RequestHead &head, const std::vector<std::string> &sites) const;
  const HostTable &hosts() const noexcept { return hosts_; }
  /// Where the same can be asked for on the instance's own host, as a whole URL; for a decision that is `byPath`.
  std::string ownAddress(const http::RequestHead &head, const RoutingDecision &decision, std::string_view scheme) const;

private:
  HostTable hosts_;
};

} // namespace matrixos::proxy
