#include "Transfer.h"

#include "../codec/Grammar.h"
#include "PublicAddress.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>

namespace matrixos::http {

namespace {

using Cause = ClientError::Cause;
using std::chrono::milliseconds;

constexpr std::size_t kMaxFields = 256;
/// How often a call that has no descriptor is asked whether it was cancelled.
constexpr milliseconds kCancelPoll{20};
constexpr milliseconds kLongestWait{60'000};

void set(CURL *easy, CURLoption option, auto value) {
  const CURLcode code = curl_easy_setopt(easy, option, value);
  if (code == CURLE_OUT_OF_MEMORY) throw std::bad_alloc();
  if (code != CURLE_OK) throw Error(Status::Internal, std::string("libcurl: ") + curl_easy_strerror(code));
}

/// Fields that say where the message ends or concern the connection alone: the client writes them, nobody else.
bool isOurs(std::string_view name) {
  return isOneOf<Name::Connection, Name::ContentLength, Name::Expect, Name::KeepAlive, Name::ProxyConnection, Name::Te,
                 Name::Trailer, Name::TransferEncoding, Name::Upgrade>(findName(name));
}

void check(const ClientRequest &request) {
  bool good = isToken(request.method) && request.method != "CONNECT" && isTarget(request.target) &&
              request.target.front() == '/';
  for (const ClientField &field : request.fields)
    good = good && isToken(field.name) && isFieldValue(field.value) && !isOurs(field.name);
  if (!good) throw Error(Status::InvalidArgument, "the method, target or a header field is malformed", "BAD_REQUEST");
}

std::string inTime(milliseconds limit) {
  return " within " + std::to_string(limit.count()) + " ms";
}

} // namespace

Transfer::Transfer(const BaseUrl &to, const ClientRequest &request, const BytesFn *bytes, const HeadFn *head)
    : to_(to), request_(request), bytes_(bytes), onHead_(head) {
  check(request);
}

void Transfer::attach(CURL *easy, bool keep, const std::string &rootsFile) {
  easy_ = easy;
  attachAddress(easy, keep, rootsFile);
  attachRequest(easy);
  attachCallbacks(easy);
}

void Transfer::attachAddress(CURL *easy, bool keep, const std::string &rootsFile) const {
  set(easy, CURLOPT_URL, to_.origin().c_str());
  set(easy, CURLOPT_REQUEST_TARGET, (to_.prefix() + request_.target).c_str());
  if (!to_.socketPath().empty()) set(easy, CURLOPT_UNIX_SOCKET_PATH, to_.socketPath().c_str());
  set(easy, CURLOPT_PROTOCOLS_STR, to_.isTls() ? "https" : "http");
  set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(easy, CURLOPT_FOLLOWLOCATION, 0L);
  // Nobody between us and the server: also what http_proxy in the environment names must not see the request.
  set(easy, CURLOPT_PROXY, "");
  set(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
  set(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  set(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  if (!rootsFile.empty()) {
    set(easy, CURLOPT_CAINFO, rootsFile.c_str());
    // libcurl would go on to trust the system's folder of roots too.
    set(easy, CURLOPT_CAPATH, nullptr);
  } else if (!request_.moreRootsFile.empty()) {
    // Instead of the file of the system's roots; its folder has them, too.
    set(easy, CURLOPT_CAINFO, request_.moreRootsFile.c_str());
  }
  set(easy, CURLOPT_NOSIGNAL, 1L);
  set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  set(easy, CURLOPT_FORBID_REUSE, keep ? 0L : 1L);
  set(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::max(request_.connectTimeout, milliseconds{1}).count()));
  // Without it the end of an exchange waits for a name that is still being looked up.
  set(easy, CURLOPT_QUICK_EXIT, 1L);
}

void Transfer::addField(const std::string &line) {
  curl_slist *longer = curl_slist_append(fieldLines_.get(), line.c_str());
  if (longer == nullptr) throw std::bad_alloc();
  static_cast<void>(fieldLines_.release());
  fieldLines_.reset(longer);
}

void Transfer::attachRequest(CURL *easy) {
  // A name without a value leaves out what libcurl would write: it would wait for a 100 that may never come, and call
  // every body a form.
  addField("Expect:");
  addField("Content-Type:");
  // An empty value is written with a semicolon.
  for (const ClientField &field : request_.fields)
    addField(field.value.empty() ? field.name + ";" : field.name + ": " + field.value);
  set(easy, CURLOPT_HTTPHEADER, fieldLines_.get());

  const std::string &method = request_.method;
  if (!request_.body.empty() || method == "POST" || method == "PUT" || method == "PATCH") {
    set(easy, CURLOPT_POST, 1L);
    set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    set(easy, CURLOPT_POSTFIELDS, request_.body.data());
  }
  if (method == "HEAD")
    set(easy, CURLOPT_NOBODY, 1L);
  else
    set(easy, CURLOPT_CUSTOMREQUEST, method.c_str());
}

// libcurl is C: no exception may pass through it.
void Transfer::attachCallbacks(CURL *easy) {
  set(easy, CURLOPT_ERRORBUFFER, words_.data());
  if (request_.onlyPublic) {
    set(easy, CURLOPT_OPENSOCKETDATA, this);
    set(
        easy, CURLOPT_OPENSOCKETFUNCTION,
        +[](void *self, curlsocktype, curl_sockaddr *address) noexcept -> curl_socket_t {
          return static_cast<Transfer *>(self)->open(*address);
        });
  }
  set(easy, CURLOPT_PREREQDATA, this);
  set(
      easy, CURLOPT_PREREQFUNCTION, +[](void *self, char *, char *, int, int) noexcept -> int {
        return static_cast<Transfer *>(self)->onSend() ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
      });
  set(easy, CURLOPT_HEADERDATA, this);
  set(
      easy, CURLOPT_HEADERFUNCTION, +[](char *data, std::size_t, std::size_t size, void *self) noexcept -> std::size_t {
        auto &to = *static_cast<Transfer *>(self);
        try {
          return to.onHeadLine({data, size}) ? size : CURL_WRITEFUNC_ERROR;
        } catch (...) {
          to.failure_ = std::current_exception();
          return CURL_WRITEFUNC_ERROR;
        }
      });
  set(easy, CURLOPT_WRITEDATA, this);
  set(
      easy, CURLOPT_WRITEFUNCTION, +[](char *data, std::size_t, std::size_t size, void *self) noexcept -> std::size_t {
        auto &to = *static_cast<Transfer *>(self);
        try {
          return to.onBody({data, size}) ? size : CURL_WRITEFUNC_ERROR;
        } catch (...) {
          to.failure_ = std::current_exception();
          return CURL_WRITEFUNC_ERROR;
        }
      });
}

/// About to send. libcurl comes here a second time when a kept connection ended without an answer; what may have been
/// executed already is then not sent again (RFC 9110 §9.2.2).
bool Transfer::onSend() noexcept {
  refusedToResend_ = sent_ && !isIdempotent(request_.method);
  sent_ = true;
  return !refusedToResend_;
}

/// The address is the one that is connected to: no later answer of a name server counts.
curl_socket_t Transfer::open(const curl_sockaddr &address) noexcept {
  if (isPublicAddress(&address.addr))
    return ::socket(address.family, address.socktype | SOCK_CLOEXEC, address.protocol);
  refusedAddress_ = true;
  return CURL_SOCKET_BAD;
}

bool Transfer::onHeadLine(std::string_view line) {
  lastByte_ = Clock::now();
  headBytes_ += line.size();
  if (headBytes_ > request_.maxHead) fail(Cause::TooLarge, "its header is too long");
  if (headComplete_) return true; // a trailer
  headText_ += line;
  const HeadLimits limits{request_.maxHead, kMaxFields, request_.maxHead};
  switch (parser_.parse(headText_, limits, request_.method == "HEAD", head_)) {
  case ParseResult::NeedMore:
    break;
  case ParseResult::Failed:
    fail(Cause::Malformed, std::string("its answer is malformed: ") + parser_.error().reason);
  case ParseResult::Complete:
    if (!head_.isInterim()) return onHead();
    parser_.reset();
    headText_.clear();
  }
  return true;
}

bool Transfer::onHead() {
  headComplete_ = true;
  if (head_.status == 101) fail(Cause::Malformed, "its answer changes to a protocol that nobody asked for");
  if (head_.body.kind == BodyKind::UntilClose) fail(Cause::Incomplete, "its answer does not say where it ends");
  response_.status = head_.status;
  for (const Field &field : head_.fields)
    response_.fields.push_back({std::string(field.name), std::string(field.value)});
  const bool cut = !response_.isSuccess() && request_.keptOfRefusal != 0;
  if (!isReceived() && !cut && head_.body.length > request_.maxBody) fail(Cause::TooLarge, "its answer is too long");
  if (onHead_ != nullptr) response_.stopped = !(*onHead_)(response_);
  return !response_.stopped;
}

bool Transfer::onBody(std::string_view part) {
  if (isReceived()) {
    response_.stopped = !(*bytes_)(part);
    // After the call: the time that the receiver took is not the server's silence.
    lastByte_ = Clock::now();
    return !response_.stopped;
  }
  lastByte_ = Clock::now();
  const bool cut = !response_.isSuccess() && request_.keptOfRefusal != 0;
  const std::size_t room = (cut ? request_.keptOfRefusal : request_.maxBody) - response_.body.size();
  if (part.size() > room && !cut) fail(Cause::TooLarge, "its answer is too long");
  response_.body.append(part.substr(0, room));
  response_.stopped = part.size() > room;
  return !response_.stopped;
}

milliseconds Transfer::patience(const Call &call) const {
  if (call.cancelled()) fail(Cause::Cancelled, "the call was cancelled");
  milliseconds wait = call.remaining(kLongestWait);
  if (wait.count() == 0) fail(Cause::Deadline, "the call's time was up before the answer was complete");
  const auto within = [&](milliseconds limit, Clock::time_point since, Cause cause, const char *what) {
    if (limit.count() == 0) return;
    const auto left = std::chrono::ceil<milliseconds>(since + limit - Clock::now());
    if (left.count() <= 0) fail(cause, what + inTime(limit));
    wait = std::min(wait, left);
  };
  within(request_.timeout, began_, Cause::Timeout, "no complete answer came");
  within(request_.maxSilence, lastByte_, Cause::Silent, "not a byte of the answer came");
  if (call.cancelFd() < 0 && call.abi() != nullptr && call.abi()->cancelled != nullptr)
    wait = std::min(wait, kCancelPoll);
  return wait;
}

ClientResponse Transfer::finish(CURLcode code) {
  if (failure_) std::rethrow_exception(failure_);
  if (code != CURLE_OK && !response_.stopped) failWith(code);
  if (!headComplete_) fail(Cause::Incomplete, "the connection ended inside the answer's header");
  return std::move(response_);
}

void Transfer::failWith(CURLcode code) const {
  switch (code) {
  case CURLE_COULDNT_RESOLVE_HOST:
    fail(Cause::Unreachable, "the server's name is unknown");
  case CURLE_COULDNT_CONNECT: {
    if (refusedAddress_) fail(Cause::NotPublic, "it has no public address");
    long error = 0;
    curl_easy_getinfo(easy_, CURLINFO_OS_ERRNO, &error);
    const bool denied = !to_.socketPath().empty() && (error == EACCES || error == EPERM);
    const std::string why = std::system_category().message(static_cast<int>(error));
    fail(denied ? Cause::Denied : Cause::Unreachable, "it cannot be connected to: " + why);
  }
  case CURLE_OPERATION_TIMEDOUT:
    fail(Cause::ConnectTimeout, "no connection came about" + inTime(request_.connectTimeout));
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_CONNECT_ERROR:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_ISSUER_ERROR:
    fail(Cause::Tls, std::string("TLS failed: ") + (words_[0] != '\0' ? words_.data() : curl_easy_strerror(code)));
  case CURLE_ABORTED_BY_CALLBACK:
  case CURLE_GOT_NOTHING:
  case CURLE_SEND_ERROR:
  case CURLE_RECV_ERROR:
    // A chunk that lies about its size is reported like a broken connection.
    if (headBytes_ != 0 && !refusedToResend_) fail(Cause::Incomplete, "its answer broke off or is garbled");
    fail(Cause::NoAnswer, "it closed the connection without an answer");
  case CURLE_PARTIAL_FILE:
    fail(Cause::Incomplete, "its answer broke off before its end");
  case CURLE_OUT_OF_MEMORY:
    // What libcurl calls a header line that it does not want to hold.
    if (sent_ && !headComplete_) fail(Cause::TooLarge, "its header is too long");
    throw std::bad_alloc();
  default:
    fail(Cause::Malformed, std::string("its answer is no HTTP/1: ") + curl_easy_strerror(code));
  }
}

} // namespace matrixos::http
