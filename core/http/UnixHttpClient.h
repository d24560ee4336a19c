#pragma once

#include "http/RequestHead.h"

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::api {

/// A small HTTP/1.1 client for the daemon's own API, over a unix socket or TCP, on libcurl. One connection per request;
/// follows no redirects and takes no proxy from the environment. An object may be used by several threads at once.
///
/// A transfer counts only when it is complete: an answer that ends before its declared end, or declares none, is
/// Error(DataLoss), never a success with half a body.
class UnixHttpClient {
public:
  struct Request {
    std::string method = "GET";
    std::string path = "/"; ///< with query, percent-encoded
    std::string body;
    std::vector<Field> fields;
    std::chrono::milliseconds connectTimeout{5000};
    /// For the whole exchange; 0: none.
    std::chrono::milliseconds timeout{30000};
    /// Largest answer that is kept in memory; a larger one is Error(ResourceExhausted).
    std::size_t maxBody = 64 * 1024 * 1024;
    /// Asked about once a second and whenever bytes move; true ends the exchange with Error(Cancelled). May be empty.
    std::function<bool()> cancelled;
  };

  struct Response {
    int status = 0;
    std::vector<Field> fields;
    std::string body;

    /// The first field of that name, in any case.
    std::optional<std::string_view> find(std::string_view name) const;
  };

  /// `unix:/path/to/socket`, or `http://host:port`. Throws Error(InvalidArgument) for anything else.
  explicit UnixHttpClient(const std::string &endpoint);

  /// Sends the request and returns the whole answer, whatever its status. Throws Error: Unavailable when nobody listens
  /// there, PermissionDenied when the socket may not be opened, DeadlineExceeded, DataLoss, Cancelled, InvalidArgument
  /// for a malformed request.
  Response request(const Request &request) const;

  /// Like request(), but hands each line of a 2xx answer to `line` as soon as it is there, without its line end; other
  /// answers are returned with their body. `line` returns false to end the exchange, which then is a success. A last
  /// line without a line end counts as a line.
  Response stream(const Request &request, const std::function<bool(std::string_view line)> &line) const;

private:
  Response perform(const Request &request, const std::function<bool(std::string_view line)> *line) const;

  std::string endpoint_;
  std::string socketPath_;
  std::string base_;
};

} // namespace matrixos::api
