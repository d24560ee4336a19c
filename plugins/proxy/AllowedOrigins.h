/// AllowedOrigins.h: which web pages may act for their visitor.
#pragma once

#include <http/codec/Head.h>

#include <string>
#include <string_view>
#include <vector>

namespace matrixos::proxy {

/// Whether a browser says that a page of another host sends it (https://www.w3.org/TR/fetch-metadata/).
bool isFromElsewhere(const http::RequestHead &head) noexcept;

/// A page of another site can make its visitor's browser send requests here, with what the browser keeps for us. What
/// only reads is harmless, since the page does not see the answer; a request that changes something through the API, or
/// opens a WebSocket, has to come from a page of the same scheme, host and port, from an allowed origin, or from no
/// page at all (https://fetch.spec.whatwg.org/#origin-header). A host below the same domain is another site: tenants
/// live there.
class AllowedOrigins {
public:
  /// "https://app.example.com". Throws matrixos::Error(InvalidArgument) that names the bad entry.
  explicit AllowedOrigins(std::vector<std::string> list);

  /// `scheme`: of the request, as far as is known. toApi: for the platform's API, else for an instance.
  bool admits(const http::RequestHead &head, std::string_view scheme, bool toApi) const noexcept;

private:
  bool isAllowed(std::string_view origin, std::string_view scheme, std::string_view host) const noexcept;

  std::vector<std::string> list_;
};

} // namespace matrixos::proxy
