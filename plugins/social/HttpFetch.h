#pragma once

#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>

namespace matrixos::social {

struct FetchRequest {
  std::string url;  ///< http:// alone
  std::string body; ///< JSON to POST; empty: GET
  std::chrono::milliseconds connectTimeout{2000};
  std::chrono::milliseconds timeout{10000}; ///< for everything
  std::size_t maxBody = 256 * 1024;
};

struct FetchReply {
  long status = 0;
  std::string contentType;
  std::string body;
};

/// No usable answer came.
class FetchError : public std::runtime_error {
public:
  FetchError(const std::string &what, bool connected) : std::runtime_error(what), connected_(connected) {}
  /// False: no byte of the request was sent, so another address may be tried.
  bool connected() const noexcept { return connected_; }

private:
  bool connected_;
};

/// One HTTP/1.1 exchange with a peer that may be hostile, over a connection of its own, with libcurl. It follows no
/// redirect, uses no proxy of the environment, sends no credentials, decodes no content encoding, and bounds head,
/// body and time. Blocks; any thread. Throws FetchError.
FetchReply fetch(const FetchRequest &request);

/// Says what is wrong with a URL that operators configure (an http:// base without user, query or fragment); empty
/// when it is good.
std::string checkBaseUrl(const std::string &url);

} // namespace matrixos::social
