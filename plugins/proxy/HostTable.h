/// HostTable.h: which Host names are ours, and whose.
#pragma once

#include <http/codec/DomainNames.h>

#include <string>
#include <string_view>
#include <vector>

namespace matrixos::proxy {

/// What a Host value means to us.
struct HostMatch {
  enum class Kind { Instance, Platform, Site, Domain, Foreign };
  Kind kind = Kind::Foreign;
  std::string handle; ///< for Instance, in lower case and of valid grammar
};

/// The exact host table: `{handle}.<domain>` and `{handle}.localhost` name instances; `api.<domain>`, `localhost`,
/// `127.0.0.1` and `[::1]` the platform, `<domain>` alone the domain; a plugin's site comes before the instance of that
/// name. Anything else is foreign: a request for it was
/// misdirected, perhaps by a rebound DNS name. Case, port and one dot at the end do not matter.
class HostTable {
public:
  /// `consoleHost`: of the site "console"; empty: console.<domain>.
  explicit HostTable(std::string_view domain, std::string_view consoleHost = {});

  /// `host` is a syntactically valid Host value; `sites`: names of plugins' sites.
  HostMatch match(std::string_view host, const std::vector<std::string> &sites) const;
  /// The host of an instance's own, port included, for who asked one of the platform's or the domain:
  /// "alice.localhost:9000" for "127.0.0.1:9000".
  std::string instanceHost(std::string_view platformHost, std::string_view handle) const;

private:
  const http::DomainNames names_;
  const std::string apiHost_; // "api.matrix-os.com"
};

} // namespace matrixos::proxy
