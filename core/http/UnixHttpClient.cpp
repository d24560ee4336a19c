#include "http/UnixHttpClient.h"

#include <matrixos/status.hpp>

#include <curl/curl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>

namespace matrixos::api {

namespace {

constexpr std::size_t kMaxLine = 1024 * 1024;

using Easy = std::unique_ptr<CURL, void (*)(CURL *)>;
using Line = std::function<bool(std::string_view)>;

/// One transfer: what the callbacks fill in.
struct Transfer {
  CURL *easy;
  const UnixHttpClient::Request *request;
  const Line *line;
  UnixHttpClient::Response response;
  std::string partial;
  bool framed = false;
  bool stopped = false;
  bool tooLarge = false;
  bool cancelled = false;

  bool streams() const { return line != nullptr && response.status >= 200 && response.status < 300; }

  /// False ends the transfer.
  bool take(std::string_view bytes) {
    if (!streams()) {
      tooLarge = response.body.size() + bytes.size() > request->maxBody;
      if (!tooLarge) response.body.append(bytes);
      return !tooLarge;
    }
    partial.append(bytes);
    std::size_t start = 0;
    for (std::size_t end = partial.find('\n'); end != std::string::npos && !stopped; end = partial.find('\n', start)) {
      std::string_view text = std::string_view(partial).substr(start, end - start);
      if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
      stopped = !(*line)(text);
      start = end + 1;
    }
    partial.erase(0, start);
    tooLarge = partial.size() > kMaxLine;
    return !stopped && !tooLarge;
  }
};

// libcurl is C: no exception may pass through it.
std::size_t onBody(char *data, std::size_t, std::size_t size, void *context) {
  auto &transfer = *static_cast<Transfer *>(context);
  try {
    return transfer.take({data, size}) ? size : CURL_WRITEFUNC_ERROR;
  } catch (const std::exception &) {
    transfer.cancelled = true;
    return CURL_WRITEFUNC_ERROR;
  }
}

std::size_t onHeader(char *data, std::size_t, std::size_t size, void *context) {
  auto &transfer = *static_cast<Transfer *>(context);
  try {
    std::string_view text(data, size);
    while (!text.empty() && (text.back() == '\r' || text.back() == '\n'))
      text.remove_suffix(1);
    if (text.substr(0, 5) == "HTTP/") {
      long code = 0;
      curl_easy_getinfo(transfer.easy, CURLINFO_RESPONSE_CODE, &code);
      transfer.response.status = static_cast<int>(code);
      transfer.response.fields.clear();
      transfer.framed = false;
    } else if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
      const std::string_view name = text.substr(0, colon);
      std::string_view value = text.substr(colon + 1);
      while (!value.empty() && value.front() == ' ')
        value.remove_prefix(1);
      if (equalsIgnoreCase(name, "Content-Length") || equalsIgnoreCase(name, "Transfer-Encoding")) {
        transfer.framed = true;
      }
      transfer.response.fields.push_back({std::string(name), std::string(value)});
    }
    return size;
  } catch (const std::exception &) {
    return 0;
  }
}

int onProgress(void *context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto &transfer = *static_cast<Transfer *>(context);
  try {
    transfer.cancelled = transfer.request->cancelled && transfer.request->cancelled();
  } catch (const std::exception &) {
    transfer.cancelled = true;
  }
  return transfer.cancelled ? 1 : 0;
}

void initialiseOnce() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

/// Why a unix socket cannot be connected to, which libcurl does not say.
int connectError(const std::string &path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  const int code = ::connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof(address)) == 0 ? 0 : errno;
  ::close(fd);
  return code;
}

[[noreturn]] void throwConnect(const std::string &endpoint, const std::string &socketPath, const std::string &why) {
  const int code = socketPath.empty() ? 0 : connectError(socketPath);
  if (code == EACCES || code == EPERM) {
    throw Error(Status::PermissionDenied, "you may not open " + endpoint + "; run this as root or as the daemon's user",
                "SOCKET_DENIED");
  }
  throw Error(Status::Unavailable,
              "nobody answers at " + endpoint + " (" + (code != 0 ? std::strerror(code) : why) +
                  "); is the daemon running?",
              "NOT_RUNNING");
}

void checkRequest(const UnixHttpClient::Request &request) {
  bool good = isToken(request.method) && !request.path.empty() && request.path.front() == '/';
  for (const char c : request.path)
    good = good && c > ' ' && c < '\x7F' && c != '#';
  for (const Field &field : request.fields)
    good = good && isToken(field.name) && isFieldValue(field.value);
  if (!good) throw Error(Status::InvalidArgument, "the method, path or a header field is malformed", "BAD_REQUEST");
}

} // namespace

std::optional<std::string_view> UnixHttpClient::Response::find(std::string_view name) const {
  for (const Field &field : fields) {
    if (equalsIgnoreCase(field.name, name)) return field.value;
  }
  return std::nullopt;
}

UnixHttpClient::UnixHttpClient(const std::string &endpoint) : endpoint_(endpoint) {
  constexpr std::string_view kUnix = "unix:";
  constexpr std::string_view kHttp = "http://";
  if (endpoint.compare(0, kUnix.size(), kUnix) == 0) {
    socketPath_ = endpoint.substr(kUnix.size());
    if (socketPath_.empty() || socketPath_.size() >= sizeof(sockaddr_un::sun_path)) {
      throw Error(Status::InvalidArgument, "\"" + endpoint + "\" names no socket; its path has 1 to 107 bytes");
    }
    base_ = "http://localhost";
  } else if (endpoint.compare(0, kHttp.size(), kHttp) == 0 && endpoint.size() > kHttp.size()) {
    base_ = endpoint;
    while (base_.back() == '/')
      base_.pop_back();
  } else {
    throw Error(Status::InvalidArgument,
                "\"" + endpoint + "\" is no API address; write unix:/path or http://host:port");
  }
}

UnixHttpClient::Response UnixHttpClient::request(const Request &request) const {
  return perform(request, nullptr);
}

UnixHttpClient::Response UnixHttpClient::stream(const Request &request, const Line &line) const {
  return perform(request, &line);
}

namespace {

void configure(CURL *easy, Transfer &transfer, const std::string &base, const std::string &socketPath,
               const curl_slist *fields) {
  const UnixHttpClient::Request &request = *transfer.request;
  curl_easy_setopt(easy, CURLOPT_URL, (base + request.path).c_str());
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fields);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connectTimeout.count()));
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, onBody);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, onHeader);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, onProgress);
  curl_easy_setopt(easy, CURLOPT_XFERINFODATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
  if (!socketPath.empty()) curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, socketPath.c_str());
  if (request.method == "HEAD") curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  const bool hasBody = !request.body.empty() || request.method == "POST" || request.method == "PUT";
  if (hasBody) {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
  }
  if (request.method != "HEAD") curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

} // namespace

UnixHttpClient::Response UnixHttpClient::perform(const Request &request, const Line *line) const {
  checkRequest(request);
  initialiseOnce();
  const Easy easy(curl_easy_init(), curl_easy_cleanup);
  if (!easy) throw Error(Status::ResourceExhausted, "libcurl has no memory");
  Transfer transfer{easy.get(), &request, line, {}, {}};
  // Without these libcurl would wait for 100 Continue and call every body a form.
  curl_slist *list = curl_slist_append(nullptr, "Expect:");
  list = curl_slist_append(list, "Content-Type:");
  for (const Field &field : request.fields)
    list = curl_slist_append(list, (field.name + ": " + field.value).c_str());
  const std::unique_ptr<curl_slist, void (*)(curl_slist *)> fields(list, curl_slist_free_all);
  configure(easy.get(), transfer, base_, socketPath_, fields.get());

  const CURLcode code = curl_easy_perform(easy.get());
  if (transfer.stopped) return std::move(transfer.response);
  if (transfer.tooLarge) throw Error(Status::ResourceExhausted, "the answer is larger than this client takes");
  if (transfer.cancelled) throw Error(Status::Cancelled, "the request was cancelled");
  switch (code) {
  case CURLE_OK:
    break;
  case CURLE_COULDNT_CONNECT:
  case CURLE_COULDNT_RESOLVE_HOST:
    throwConnect(endpoint_, socketPath_, curl_easy_strerror(code));
  case CURLE_OPERATION_TIMEDOUT:
    throw Error(Status::DeadlineExceeded, endpoint_ + " did not answer in time", "TIMEOUT");
  case CURLE_PARTIAL_FILE:
  case CURLE_RECV_ERROR:
  case CURLE_GOT_NOTHING:
    throw Error(Status::DataLoss, "the connection to " + endpoint_ + " ended before the answer did", "INCOMPLETE");
  default:
    throw Error(Status::Unavailable, "the request to " + endpoint_ + " failed: " + curl_easy_strerror(code));
  }
  const int status = transfer.response.status;
  if (!transfer.framed && status != 204 && status != 304 && request.method != "HEAD") {
    throw Error(Status::DataLoss, "the answer of " + endpoint_ + " does not say where it ends", "INCOMPLETE");
  }
  if (transfer.streams() && !transfer.partial.empty()) (*line)(transfer.partial);
  return std::move(transfer.response);
}

} // namespace matrixos::api
