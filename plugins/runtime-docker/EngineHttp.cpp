#include "EngineHttp.h"

#include <matrixos/abi/runtime.h>

#include <curl/curl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <strings.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

namespace matrixos::docker {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxIdleConnections = 8;
constexpr std::size_t kMaxHeaderBytes = 64U * 1024;
constexpr std::size_t kMaxErrorBody = 64U * 1024;
/// How often a cancellation without a file descriptor is looked at.
constexpr milliseconds kCancelPoll{100};
constexpr std::int64_t kRetryAfterMs = 5000;

Error unreachable(const std::string &text) {
  return Error(Status::Unavailable, text, MOS_REASON_ENGINE_UNREACHABLE, kRetryAfterMs);
}

Error badReply(const std::string &text) {
  return Error(Status::Unavailable, text, MOS_REASON_ENGINE_REPLY, kRetryAfterMs);
}

template <typename Value>
void set(CURL *handle, CURLoption option, Value value) {
  const CURLcode code = curl_easy_setopt(handle, option, value);
  if (code != CURLE_OK) throw Error(Status::Internal, std::string("libcurl: ") + curl_easy_strerror(code));
}

std::string userName(uid_t uid) {
  std::array<char, 4096> space{};
  passwd entry{};
  passwd *found = nullptr;
  if (::getpwuid_r(uid, &entry, space.data(), space.size(), &found) == 0 && found != nullptr) return entry.pw_name;
  return "uid " + std::to_string(uid);
}

std::string groupName(gid_t gid) {
  std::array<char, 4096> space{};
  group entry{};
  group *found = nullptr;
  if (::getgrgid_r(gid, &entry, space.data(), space.size(), &found) == 0 && found != nullptr) return entry.gr_name;
  return "gid " + std::to_string(gid);
}

bool headerIs(std::string_view line, std::string_view name, std::string &value) {
  if (line.size() <= name.size() || line[name.size()] != ':') return false;
  if (::strncasecmp(line.data(), name.data(), name.size()) != 0) return false;
  line.remove_prefix(name.size() + 1);
  while (!line.empty() && (line.front() == ' ' || line.front() == '\t'))
    line.remove_prefix(1);
  while (!line.empty() && (line.back() == ' ' || line.back() == '\r' || line.back() == '\n'))
    line.remove_suffix(1);
  value.assign(line);
  return true;
}

} // namespace

EngineEndpoint EngineEndpoint::parse(std::string_view text) {
  const auto refuse = [&](const std::string &why) {
    return Error(Status::InvalidArgument, "the engine endpoint \"" + std::string(text) + "\" " + why +
                                              "; write unix:/var/run/docker.sock or tcp://127.0.0.1:2375");
  };
  EngineEndpoint endpoint;
  if (text.substr(0, 5) == "unix:") {
    std::string_view path = text.substr(5);
    if (path.substr(0, 2) == "//") path.remove_prefix(2);
    if (path.empty() || path.front() != '/') throw refuse("names no absolute path");
    if (path.size() > 107) throw refuse("is longer than a socket's path can be (107 bytes)");
    endpoint.socketPath.assign(path);
    return endpoint;
  }
  if (text.substr(0, 6) != "tcp://") throw refuse("is neither unix: nor tcp://");
  const std::string_view rest = text.substr(6);
  const std::size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos) throw refuse("names no port");
  const std::string_view port = rest.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
  if (error != std::errc{} || end != port.data() + port.size() || endpoint.port == 0) throw refuse("has a bad port");
  endpoint.host.assign(rest.substr(0, colon));
  if (endpoint.host != "127.0.0.1" && endpoint.host != "localhost" && endpoint.host != "[::1]") {
    throw refuse("is not on loopback, and an engine's API without TLS may be reached by nobody else");
  }
  return endpoint;
}

std::string EngineEndpoint::text() const {
  return socketPath.empty() ? "tcp://" + host + ":" + std::to_string(port) : "unix:" + socketPath;
}

std::string EngineRequest::title() const {
  std::string_view shown(path);
  shown = shown.substr(0, shown.find('?'));
  if (shown.substr(0, 2) == "/v" && shown.size() > 2 && shown[2] >= '0' && shown[2] <= '9') {
    const std::size_t slash = shown.find('/', 1);
    if (slash != std::string_view::npos) shown.remove_prefix(slash);
  }
  return method + " " + std::string(shown);
}

/// A handle with its own multi: the multi keeps the connection between exchanges.
struct EngineHttp::Connection {
  Connection() : multi(curl_multi_init()), easy(curl_easy_init()) {
    if (multi == nullptr || easy == nullptr) {
      release();
      throw std::bad_alloc();
    }
  }
  Connection(const Connection &) = delete;
  Connection &operator=(const Connection &) = delete;
  ~Connection() { release(); }

  void release() noexcept {
    if (easy != nullptr) curl_easy_cleanup(easy);
    if (multi != nullptr) curl_multi_cleanup(multi);
  }

  CURLM *multi;
  CURL *easy;
};

/// What libcurl's callbacks see of one exchange.
struct EngineHttp::Transfer {
  using Clock = std::chrono::steady_clock;

  explicit Transfer(const EngineRequest &what, const BytesFn *to) : request(what), bytes(to) {}
  ~Transfer() { curl_slist_free_all(headers); }
  Transfer(const Transfer &) = delete;
  Transfer &operator=(const Transfer &) = delete;

  void header(std::string_view line) {
    headerBytes += line.size();
    // The status line of the final answer comes after those of interim ones (100 Continue).
    if (line.substr(0, 5) == "HTTP/") {
      hasLength = chunked = false;
      response.status = 0;
      const std::size_t space = line.find(' ');
      if (space != std::string_view::npos && line.size() >= space + 4) {
        std::from_chars(line.data() + space + 1, line.data() + space + 4, response.status);
      }
      return;
    }
    std::string value;
    if (headerIs(line, "Content-Length", value))
      hasLength = true;
    else if (headerIs(line, "Transfer-Encoding", value))
      chunked = ::strcasecmp(value.c_str(), "chunked") == 0;
    else if (headerIs(line, "Api-Version", value))
      response.apiVersion = value.substr(0, 16);
  }

  /// False ends the exchange.
  bool body(std::string_view part) {
    received += part.size();
    lastByte = Clock::now();
    const bool good = response.status >= 200 && response.status < 300;
    if (bytes != nullptr && good) {
      response.stopped = !(*bytes)(part);
      return !response.stopped;
    }
    const std::size_t room = (good ? request.maxBytes : kMaxErrorBody) - response.body.size();
    response.body.append(part.substr(0, room));
    if (part.size() <= room) return true;
    // The start of an oversized error text says enough; of an oversized answer nothing can be believed.
    (good ? tooBig : response.stopped) = true;
    return false;
  }

  bool framed() const noexcept {
    const bool bodiless = response.status == 204 || response.status == 304 || response.status < 200;
    return bodiless || hasLength != chunked;
  }

  const EngineRequest &request;
  const BytesFn *bytes;
  EngineResponse response;
  curl_slist *headers = nullptr;
  std::exception_ptr failure;
  std::size_t headerBytes = 0;
  std::size_t received = 0;
  bool hasLength = false;
  bool chunked = false;
  bool tooBig = false;
  Clock::time_point began = Clock::now();
  Clock::time_point lastByte = began;
};

/// Borrows a connection from the pool and takes the handle off its multi at the end, which drops the connection when
/// the exchange is unfinished.
class EngineHttp::Lease {
public:
  explicit Lease(EngineHttp &owner) : owner_(owner), connection_(owner.take()) {}
  Lease(const Lease &) = delete;
  Lease &operator=(const Lease &) = delete;
  ~Lease() {
    curl_multi_remove_handle(connection_->multi, connection_->easy);
    // Forgets the pointers into the finished exchange.
    curl_easy_reset(connection_->easy);
    owner_.giveBack(std::move(connection_));
  }
  Connection &operator*() noexcept { return *connection_; }

private:
  EngineHttp &owner_;
  std::unique_ptr<Connection> connection_;
};

EngineHttp::EngineHttp(EngineEndpoint endpoint, ObserverFn observer)
    : endpoint_(std::move(endpoint)), observer_(std::move(observer)),
      stopFd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  static const CURLcode global = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (global != CURLE_OK) throw Error(Status::Internal, "libcurl cannot be initialised");
  if (stopFd_ < 0) throw Error(Status::ResourceExhausted, "no file descriptor is left for the engine's client");
}

EngineHttp::~EngineHttp() {
  ::close(stopFd_);
}

void EngineHttp::shutdown() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(stopFd_, &one, sizeof one);
}

std::unique_ptr<EngineHttp::Connection> EngineHttp::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto connection = std::move(idle_.back());
      idle_.pop_back();
      return connection;
    }
  }
  return std::make_unique<Connection>();
}

void EngineHttp::giveBack(std::unique_ptr<Connection> connection) noexcept {
  const std::lock_guard lock(mutex_);
  if (idle_.size() >= kMaxIdleConnections) return;
  try {
    idle_.push_back(std::move(connection));
  } catch (const std::bad_alloc &) {
    // Without room to keep it the connection closes.
  }
}

EngineResponse EngineHttp::send(const Call &call, const EngineRequest &request) {
  return observed(call, request, nullptr);
}

EngineResponse EngineHttp::stream(const Call &call, const EngineRequest &request, const BytesFn &bytes) {
  return observed(call, request, &bytes);
}

EngineResponse EngineHttp::observed(const Call &call, const EngineRequest &request, const BytesFn *bytes) {
  const auto began = Transfer::Clock::now();
  const auto report = [&](const char *outcome) {
    if (observer_) observer_(std::chrono::duration<double>(Transfer::Clock::now() - began).count(), outcome);
  };
  try {
    EngineResponse response = exchange(call, request, bytes);
    report(response.status < 400 ? "ok" : "refused");
    return response;
  } catch (const Error &e) {
    if (e.reason() == MOS_REASON_ENGINE_UNREACHABLE)
      report("unreachable");
    else if (e.reason() == MOS_REASON_ENGINE_DENIED)
      report("denied");
    else if (e.reason() == MOS_REASON_ENGINE_REPLY)
      report("reply");
    else
      report("given_up");
    throw;
  }
}

EngineResponse EngineHttp::exchange(const Call &call, const EngineRequest &request, const BytesFn *bytes) {
  call.throwIfDone();
  // Outlives the lease, whose end still reaches it through libcurl.
  Transfer transfer(request, bytes);
  Lease lease(*this);
  prepare(*lease, transfer);
  drive(call, *lease, transfer);
  if (transfer.response.status < 200) {
    throw badReply("the engine's answer to " + request.title() + " has no valid status line");
  }
  if (!transfer.response.stopped && !transfer.framed()) {
    throw badReply("the engine's answer to " + request.title() + " does not say where it ends");
  }
  return std::move(transfer.response);
}

void EngineHttp::prepare(Connection &connection, Transfer &transfer) const {
  CURL *easy = connection.easy;
  const EngineRequest &request = transfer.request;
  std::string url = "http://";
  if (endpoint_.socketPath.empty()) {
    url += endpoint_.host + ":" + std::to_string(endpoint_.port);
  } else {
    // The name goes into the Host header; engines want one without a slash.
    url += "engine";
    set(easy, CURLOPT_UNIX_SOCKET_PATH, endpoint_.socketPath.c_str());
  }
  url += request.path;
  set(easy, CURLOPT_URL, url.c_str());
  set(easy, CURLOPT_PATH_AS_IS, 1L);
  set(easy, CURLOPT_NOSIGNAL, 1L);
  // The engine is local: an http_proxy in the environment must not see what goes to it.
  set(easy, CURLOPT_PROXY, "");
  set(easy, CURLOPT_PROTOCOLS_STR, "http");
  set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  set(easy, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
  set(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());

  std::vector<std::string> headers = request.headers;
  headers.emplace_back("Expect:");
  if (!request.body.empty()) headers.emplace_back("Content-Type: application/json");
  for (const std::string &header : headers) {
    curl_slist *longer = curl_slist_append(transfer.headers, header.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    transfer.headers = longer;
  }
  set(easy, CURLOPT_HTTPHEADER, transfer.headers);
  if (request.method == "POST") {
    set(easy, CURLOPT_POSTFIELDS, request.body.c_str());
    set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  }

  set(easy, CURLOPT_HEADERDATA, &transfer);
  set(
      easy, CURLOPT_HEADERFUNCTION, +[](char *data, std::size_t, std::size_t size, void *to) -> std::size_t {
        auto &self = *static_cast<Transfer *>(to);
        self.header({data, size});
        return self.headerBytes > kMaxHeaderBytes ? 0 : size;
      });
  set(easy, CURLOPT_WRITEDATA, &transfer);
  set(
      easy, CURLOPT_WRITEFUNCTION, +[](char *data, std::size_t, std::size_t size, void *to) -> std::size_t {
        auto &self = *static_cast<Transfer *>(to);
        try {
          return self.body({data, size}) ? size : 0;
        } catch (...) {
          self.failure = std::current_exception();
          return 0;
        }
      });
}

/// Throws when it is time to stop; else says how long to wait at most.
std::chrono::milliseconds EngineHttp::checkTime(const Call &call, const Transfer &transfer) const {
  const EngineRequest &request = transfer.request;
  if (call.cancelled()) throw Error(Status::Cancelled, request.title() + " was cancelled");
  milliseconds wait = call.remaining(milliseconds{1000});
  if (wait.count() == 0) {
    throw Error(Status::DeadlineExceeded, "the engine did not finish " + request.title() + " in the time given",
                MOS_REASON_ENGINE_UNREACHABLE);
  }
  const auto within = [&](milliseconds limit, Transfer::Clock::time_point since, const char *what) {
    if (limit.count() == 0) return;
    const auto left = std::chrono::duration_cast<milliseconds>(since + limit - Transfer::Clock::now());
    if (left.count() <= 0) {
      throw unreachable("the engine at " + endpoint_.text() + what + request.title() + " within " +
                        std::to_string(limit.count()) + " ms; look at its load and its log");
    }
    wait = std::min(wait, left);
  };
  within(request.timeout, transfer.began, " did not answer ");
  within(request.maxSilence, transfer.lastByte, " fell silent during ");
  if (call.cancelFd() < 0 && call.abi() != nullptr && call.abi()->cancelled != nullptr)
    wait = std::min(wait, kCancelPoll);
  return std::max(wait, milliseconds{1});
}

void EngineHttp::drive(const Call &call, Connection &connection, Transfer &transfer) const {
  if (curl_multi_add_handle(connection.multi, connection.easy) != CURLM_OK) throw std::bad_alloc();
  for (;;) {
    int running = 0;
    const CURLMcode code = curl_multi_perform(connection.multi, &running);
    if (code != CURLM_OK) throw Error(Status::Internal, std::string("libcurl: ") + curl_multi_strerror(code));
    if (running == 0) break;
    const milliseconds wait = checkTime(call, transfer);
    std::array<curl_waitfd, 2> extra{curl_waitfd{stopFd_, CURL_WAIT_POLLIN, 0},
                                     curl_waitfd{call.cancelFd(), CURL_WAIT_POLLIN, 0}};
    const unsigned count = call.cancelFd() >= 0 ? 2 : 1;
    curl_multi_poll(connection.multi, extra.data(), count, static_cast<int>(wait.count()), nullptr);
    if (extra[0].revents != 0) throw Error(Status::Unavailable, "the Docker runtime is stopping", "STOPPING");
    if (count == 2 && (extra[1].revents & CURL_WAIT_POLLIN) != 0) {
      throw Error(Status::Cancelled, transfer.request.title() + " was cancelled");
    }
  }
  int left = 0;
  const CURLMsg *message = curl_multi_info_read(connection.multi, &left);
  const CURLcode result = message != nullptr ? message->data.result : CURLE_RECV_ERROR;
  if (transfer.failure) std::rethrow_exception(transfer.failure);
  if (result != CURLE_OK && !transfer.response.stopped) throwTransport(result, connection, transfer);
}

void EngineHttp::throwTransport(int code, Connection &connection, const Transfer &transfer) const {
  const std::string what = transfer.request.title();
  if (transfer.tooBig) {
    throw badReply("the engine's answer to " + what + " is longer than " + std::to_string(transfer.request.maxBytes) +
                   " bytes (max_reply) and was given up");
  }
  switch (code) {
  case CURLE_COULDNT_CONNECT:
  case CURLE_COULDNT_RESOLVE_HOST: {
    long osError = 0;
    curl_easy_getinfo(connection.easy, CURLINFO_OS_ERRNO, &osError);
    throwUnconnected(osError, what);
  }
  case CURLE_OPERATION_TIMEDOUT:
    throw unreachable("the engine at " + endpoint_.text() + " accepts no connection");
  case CURLE_GOT_NOTHING:
  case CURLE_SEND_ERROR:
  case CURLE_RECV_ERROR:
    // A chunk that lies about its size is reported like a broken connection.
    if (transfer.headerBytes != 0) throw badReply("the engine broke off or garbled its answer to " + what);
    throw unreachable("the engine at " + endpoint_.text() + " closed the connection during " + what +
                      "; whether it acted is unknown");
  case CURLE_PARTIAL_FILE:
    throw badReply("the engine broke off its answer to " + what + " after " + std::to_string(transfer.received) +
                   " bytes");
  case CURLE_WRITE_ERROR:
    if (transfer.headerBytes > kMaxHeaderBytes) throw badReply("the engine's answer to " + what + " is all headers");
    [[fallthrough]];
  default:
    throw badReply("the engine's answer to " + what +
                   " is no valid HTTP: " + curl_easy_strerror(static_cast<CURLcode>(code)));
  }
}

void EngineHttp::throwUnconnected(long osError, const std::string &what) const {
  const std::string at = endpoint_.text();
  if (endpoint_.socketPath.empty()) {
    throw unreachable("no engine answers at " + at + " (" + what + "): start it, or set [runtime-docker] endpoint");
  }
  struct stat info {};
  const bool exists = ::stat(endpoint_.socketPath.c_str(), &info) == 0;
  if (osError == EACCES || osError == EPERM || (!exists && errno == EACCES)) {
    const std::string user = userName(::geteuid());
    const std::string owner =
        exists ? "user " + userName(info.st_uid) + " and group " + groupName(info.st_gid) : "others";
    throw Error(Status::PermissionDenied,
                "the engine's socket " + endpoint_.socketPath + " is open to " + owner + ", and the daemon runs as " +
                    user + (exists ? ": usermod -aG " + groupName(info.st_gid) + " " + user + ", then restart it" : ""),
                MOS_REASON_ENGINE_DENIED);
  }
  if (!exists) {
    throw unreachable("there is no engine socket at " + endpoint_.socketPath +
                      ": install and start Docker (systemctl start docker), or set [runtime-docker] endpoint");
  }
  throw unreachable("nobody listens on the engine's socket " + endpoint_.socketPath +
                    ": start the engine (systemctl start docker) and look at its log");
}

} // namespace matrixos::docker
