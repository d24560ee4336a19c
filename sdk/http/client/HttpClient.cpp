#include "HttpClient.h"

#include "Transfer.h"

#include <dlfcn.h>
#include <poll.h>

#include <algorithm>
#include <array>

namespace matrixos::http {

namespace {

/// Once per process.
void initialise() {
  static const CURLcode result = [] {
    // A name that is still being looked up when its exchange ends leaves a thread inside libcurl, which therefore must
    // not be unloaded with the plugin that brought it.
    Dl_info library{};
    if (::dladdr(reinterpret_cast<const void *>(&curl_easy_init), &library) != 0 && library.dli_fname != nullptr) {
      ::dlopen(library.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
    }
    return curl_global_init(CURL_GLOBAL_DEFAULT);
  }();
  if (result != CURLE_OK) throw Error(Status::Internal, std::string("libcurl: ") + curl_easy_strerror(result));
}

} // namespace

/// libcurl's handle with a multi of its own, which keeps the connection between exchanges.
struct HttpClient::Handle {
  explicit Handle(std::string of) : server(std::move(of)) {
    if (!multi || !easy) throw std::bad_alloc();
    curl_multi_setopt(multi.get(), CURLMOPT_MAXCONNECTS, 1L);
  }

  /// Whether the kept connection is open and silent. An answer that nobody asked for would become the next one's, and
  /// libcurl 7.88 does not look.
  bool isQuiet() const noexcept {
    pollfd state{socket, POLLIN | POLLRDHUP, 0};
    return ::poll(&state, 1, 0) == 0;
  }

  const std::string server;
  curl_socket_t socket = CURL_SOCKET_BAD; ///< of the kept connection
  std::unique_ptr<CURLM, CURLMcode (*)(CURLM *)> multi{curl_multi_init(), curl_multi_cleanup};
  std::unique_ptr<CURL, void (*)(CURL *)> easy{curl_easy_init(), curl_easy_cleanup};
};

/// A handle for one exchange. When it ends the handle leaves its multi, which drops the connection if the exchange is
/// unfinished.
class HttpClient::Borrowed {
public:
  Borrowed(HttpClient &owner, const std::string &server) : owner_(owner), handle_(owner.take(server)) {}
  Borrowed(const Borrowed &) = delete;
  Borrowed &operator=(const Borrowed &) = delete;
  ~Borrowed() {
    curl_multi_remove_handle(handle_->multi.get(), easy());
    // Forgets the pointers into the finished exchange.
    curl_easy_reset(easy());
    owner_.giveBack(std::move(handle_));
  }

  CURL *easy() const noexcept { return handle_->easy.get(); }

  CURLcode run(const Call &call, const Transfer &transfer) {
    handle_->socket = CURL_SOCKET_BAD;
    if (curl_multi_add_handle(handle_->multi.get(), easy()) != CURLM_OK) throw std::bad_alloc();
    for (;;) {
      int running = 0;
      const CURLMcode code = curl_multi_perform(handle_->multi.get(), &running);
      if (code != CURLM_OK) throw Error(Status::Internal, std::string("libcurl: ") + curl_multi_strerror(code));
      if (running == 0) break;
      wait(call, transfer);
    }
    curl_easy_getinfo(easy(), CURLINFO_ACTIVESOCKET, &handle_->socket);
    int left = 0;
    const CURLMsg *message = curl_multi_info_read(handle_->multi.get(), &left);
    return message != nullptr ? message->data.result : CURLE_RECV_ERROR;
  }

private:
  void wait(const Call &call, const Transfer &transfer) {
    owner_.checkStopping(transfer.sent());
    const auto patience = transfer.patience(call);
    std::array<curl_waitfd, 2> extra{curl_waitfd{owner_.stopFd_.get(), CURL_WAIT_POLLIN, 0},
                                     curl_waitfd{call.cancelFd(), CURL_WAIT_POLLIN, 0}};
    const unsigned count = call.cancelFd() >= 0 ? 2 : 1;
    curl_multi_poll(handle_->multi.get(), extra.data(), count, static_cast<int>(patience.count()), nullptr);
  }

  HttpClient &owner_;
  std::unique_ptr<Handle> handle_;
};

HttpClient::HttpClient(Options options)
    : options_(std::move(options)), stopFd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  initialise();
  if (!stopFd_) throw Error(Status::ResourceExhausted, "no file descriptor is left for an HTTP client");
}

HttpClient::~HttpClient() = default;

void HttpClient::shutdown() noexcept {
  stopping_.store(true, std::memory_order_release);
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(stopFd_.get(), &one, sizeof one);
}

void HttpClient::checkStopping(bool sent) const {
  if (!stopping_.load(std::memory_order_acquire)) return;
  throw ClientError(ClientError::Cause::Stopping, "the client is stopping", sent);
}

std::unique_ptr<HttpClient::Handle> HttpClient::take(const std::string &server) {
  while (auto handle = takeIdle(server)) {
    if (handle->isQuiet()) return handle;
  }
  return std::make_unique<Handle>(server);
}

std::unique_ptr<HttpClient::Handle> HttpClient::takeIdle(const std::string &server) {
  const std::lock_guard lock(mutex_);
  const auto found =
      std::find_if(idle_.rbegin(), idle_.rend(), [&](const auto &handle) { return handle->server == server; });
  if (found == idle_.rend()) return nullptr;
  auto handle = std::move(*found);
  idle_.erase(std::next(found).base());
  return handle;
}

void HttpClient::giveBack(std::unique_ptr<Handle> handle) noexcept {
  if (options_.keepConnections == 0 || handle->socket == CURL_SOCKET_BAD) return;
  std::unique_ptr<Handle> oldest; // closes its connection without the lock
  const std::lock_guard lock(mutex_);
  try {
    idle_.push_back(std::move(handle));
  } catch (const std::bad_alloc &) {
    return; // without room to keep it the connection closes
  }
  if (idle_.size() <= options_.keepConnections) return;
  oldest = std::move(idle_.front());
  idle_.erase(idle_.begin());
}

ClientResponse HttpClient::exchange(const Call &call, const BaseUrl &to, const ClientRequest &request,
                                    const BytesFn *bytes, const HeadFn *head) {
  // Outlives the borrowed handle, whose end still reaches it through libcurl.
  Transfer transfer(to, request, bytes, head);
  static_cast<void>(transfer.patience(call)); // a call that is over connects to nobody
  checkStopping(false);
  // A connection serves those alone that would have made the same.
  Borrowed handle(*this, to.text() + (request.onlyPublic ? " public " : " ") + request.moreRootsFile);
  transfer.attach(handle.easy(), options_.keepConnections != 0, options_.rootsFile);
  return transfer.finish(handle.run(call, transfer));
}

ClientResponse HttpClient::send(const Call &call, const BaseUrl &to, const ClientRequest &request) {
  return exchange(call, to, request, nullptr);
}

ClientResponse HttpClient::stream(const Call &call, const BaseUrl &to, const ClientRequest &request,
                                  const BytesFn &bytes) {
  return exchange(call, to, request, &bytes);
}

ClientResponse HttpClient::receive(const Call &call, const BaseUrl &to, const ClientRequest &request,
                                   const HeadFn &head, const BytesFn &bytes) {
  return exchange(call, to, request, &bytes, &head);
}

ClientResponse HttpClient::streamLines(const Call &call, const BaseUrl &to, const ClientRequest &request,
                                       const LineCutter::LineFn &line) {
  LineCutter cutter(line);
  const BytesFn feed = [&cutter](std::string_view bytes) { return cutter.feed(bytes); };
  ClientResponse response = exchange(call, to, request, &feed);
  if (response.isSuccess() && !response.stopped) response.stopped = !cutter.finish();
  return response;
}

} // namespace matrixos::http
