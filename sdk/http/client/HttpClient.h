/// http/client/HttpClient.h: HTTP/1.1 as a client, bounded in time and size.
#pragma once

#include "BaseUrl.h"
#include "ClientError.h"
#include "ClientMessage.h"
#include "LineCutter.h"

#include <matrixos/call.hpp>
#include <matrixos/file_descriptor.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::http {

/// Exchanges with servers that may be slow, broken or hostile, over TCP, TLS and unix sockets.
///
/// An answer counts only when it is complete: one that breaks off, that does not say where it ends, or that two readers
/// could understand in two ways, is an error. Redirects are answers, not followed. No proxy of the environment is
/// asked; no cookies, credentials or content codings are added. Certificates are verified, names included, from TLS 1.2
/// on. What was sent on a connection that then ended without an answer is sent again only when its method is
/// idempotent.
///
/// Calls block, on any thread and on as many as you like. A call ends at its own deadline and at those of the request,
/// and within milliseconds of its cancellation or of shutdown(), whatever it waits for. Each failure to get an answer
/// is a ClientError; an HTTP status is none. Requests that cannot be written are Error(InvalidArgument).
class HttpClient {
public:
  struct Options {
    /// Connections that may wait for their next exchange. 0: each exchange has its own, as it has to be where an
    /// address may pass to somebody else.
    std::size_t keepConnections = 0;
    /// A PEM file with the roots to trust; empty: the system's.
    std::string rootsFile{};
  };
  /// Takes a piece of a body, borrowed for the call. Nothing more is read until it returns, so a slow receiver slows
  /// the server. Answers false to end the exchange, which then is a success. What it throws reaches the caller.
  using BytesFn = std::function<bool(std::string_view bytes)>;

  /// Takes the head of an answer, borrowed for the call, with an empty body. Answers false to end the exchange there.
  using HeadFn = std::function<bool(const ClientResponse &head)>;

  explicit HttpClient(Options options);
  HttpClient() : HttpClient(Options{}) {}
  /// No call may be under way.
  ~HttpClient();

  ClientResponse send(const Call &call, const BaseUrl &to, const ClientRequest &request);
  /// Hands the body of a 2xx answer to `bytes` as it comes; other bodies are collected.
  ClientResponse stream(const Call &call, const BaseUrl &to, const ClientRequest &request, const BytesFn &bytes);
  /// Hands over the head, then the body, as they come, whatever the status is.
  ClientResponse receive(const Call &call, const BaseUrl &to, const ClientRequest &request, const HeadFn &head,
                         const BytesFn &bytes);
  /// As stream(), by lines; text after the last line feed is a line.
  ClientResponse streamLines(const Call &call, const BaseUrl &to, const ClientRequest &request,
                             const LineCutter::LineFn &line);

  /// Ends all exchanges, now and in future, with ClientError(Stopping).
  void shutdown() noexcept;

private:
  struct Handle;
  class Borrowed;

  /// `bytes`: null to collect the body. With a `head` it gets those of all answers.
  ClientResponse exchange(const Call &call, const BaseUrl &to, const ClientRequest &request, const BytesFn *bytes,
                          const HeadFn *head = nullptr);
  void checkStopping(bool sent) const;
  std::unique_ptr<Handle> take(const std::string &server);
  std::unique_ptr<Handle> takeIdle(const std::string &server);
  void giveBack(std::unique_ptr<Handle> handle) noexcept;

  const Options options_;
  const FileDescriptor stopFd_; ///< an eventfd, readable once shut down
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::vector<std::unique_ptr<Handle>> idle_; ///< the longest idle first
};

} // namespace matrixos::http
