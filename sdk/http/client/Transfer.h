/// http/client/Transfer.h: one exchange as libcurl's callbacks see it.
#pragma once

#include "../codec/ResponseParser.h"
#include "BaseUrl.h"
#include "ClientError.h"
#include "ClientMessage.h"

#include <matrixos/call.hpp>

#include <curl/curl.h>

#include <array>
#include <exception>
#include <functional>
#include <memory>

namespace matrixos::http {

/// Sets a handle up for one request, collects the answer and judges it. libcurl finds the body's end; the codec's
/// parser judges the head. Not thread-safe. It borrows what it is made from, and must outlive the handle's use of it.
class Transfer {
public:
  using BytesFn = std::function<bool(std::string_view bytes)>;
  using HeadFn = std::function<bool(const ClientResponse &head)>;

  /// `bytes` receives the body of a 2xx answer, or, with a `head`, of any; null: it is collected. Throws
  /// Error(InvalidArgument) for a request that cannot be written.
  Transfer(const BaseUrl &to, const ClientRequest &request, const BytesFn *bytes, const HeadFn *head);
  Transfer(const Transfer &) = delete;
  Transfer &operator=(const Transfer &) = delete;

  /// Tells `easy` everything about this exchange. `keep`: its connection may be used again. `rootsFile`: see
  /// HttpClient::Options.
  void attach(CURL *easy, bool keep, const std::string &rootsFile);

  /// Longest time to wait for the next event. Throws ClientError when the call is cancelled or a time limit has passed.
  std::chrono::milliseconds patience(const Call &call) const;

  /// What `code`, with which libcurl ended, makes of the exchange.
  ClientResponse finish(CURLcode code);

  /// See ClientError::sent().
  bool sent() const noexcept { return sent_; }

private:
  using Clock = std::chrono::steady_clock;
  using FieldLines = std::unique_ptr<curl_slist, void (*)(curl_slist *)>;

  void attachAddress(CURL *easy, bool keep, const std::string &rootsFile) const;
  void attachRequest(CURL *easy);
  void attachCallbacks(CURL *easy);
  void addField(const std::string &line);
  /// False ends the exchange.
  bool onHeadLine(std::string_view line);
  bool onHead();
  bool onBody(std::string_view part);
  /// A socket for an address that may be connected to, or none.
  curl_socket_t open(const curl_sockaddr &address) noexcept;
  bool isReceived() const noexcept { return bytes_ != nullptr && (onHead_ != nullptr || response_.isSuccess()); }
  bool onSend() noexcept;
  [[noreturn]] void fail(ClientError::Cause cause, const std::string &what) const {
    throw ClientError(cause, what, sent_);
  }
  [[noreturn]] void failWith(CURLcode code) const;

  const BaseUrl &to_;
  const ClientRequest &request_;
  const BytesFn *bytes_;
  const HeadFn *onHead_;
  CURL *easy_ = nullptr;
  FieldLines fieldLines_{nullptr, curl_slist_free_all};
  std::array<char, CURL_ERROR_SIZE> words_{};

  ResponseParser parser_;
  ResponseHead head_;
  std::string headText_;
  std::size_t headBytes_ = 0; ///< with interim heads and trailers
  bool headComplete_ = false;
  bool sent_ = false;
  bool refusedToResend_ = false;
  bool refusedAddress_ = false;
  ClientResponse response_;
  std::exception_ptr failure_; ///< thrown inside a callback
  const Clock::time_point began_ = Clock::now();
  Clock::time_point lastByte_ = began_;
};

} // namespace matrixos::http
