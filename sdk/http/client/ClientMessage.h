/// http/client/ClientMessage.h: what a client sends and receives.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::http {

/// One header field, owned.
struct ClientField {
  std::string name;
  std::string value;
};

/// One request and the limits of its exchange.
struct ClientRequest {
  std::string method = "GET";
  /// Path and query, percent-encoded; it follows the prefix of the base URL.
  std::string target = "/";
  /// Beside those that HttpClient writes. Host and Accept may be replaced; fields that frame the message or belong to
  /// the connection are refused.
  std::vector<ClientField> fields;
  std::string body;
  /// Connects to addresses of the public internet alone (isPublicAddress), whatever its name means by then.
  bool onlyPublic = false;
  /// A PEM file with roots to trust beside the system's, where the client has no rootsFile.
  std::string moreRootsFile{};

  /// To look up the name, connect and agree on TLS.
  std::chrono::milliseconds connectTimeout{5000};
  /// For the whole exchange; 0: the call's own deadline alone.
  std::chrono::milliseconds timeout{30000};
  /// Longest time without a byte of the answer; 0: any.
  std::chrono::milliseconds maxSilence{0};
  /// Most bytes of header, interim answers and trailers included.
  std::size_t maxHead = 64U * 1024;
  /// Longest body that is kept. A streamed body has no limit.
  std::size_t maxBody = 32U * 1024 * 1024;
  /// When it is not 0, the body of an answer whose status is not 2xx is cut there instead of being refused.
  std::size_t keptOfRefusal = 0;
};

/// A complete answer.
struct ClientResponse {
  int status = 0;
  std::vector<ClientField> fields;
  std::string body;     ///< empty when it was streamed
  bool stopped = false; ///< its receiver, or keptOfRefusal, ended the body early

  bool isSuccess() const noexcept { return status >= 200 && status < 300; }
  /// The first field of that name, in any case.
  std::optional<std::string_view> find(std::string_view name) const;
};

} // namespace matrixos::http
