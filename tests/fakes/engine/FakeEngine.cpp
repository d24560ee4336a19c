#include "FakeEngine.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>

namespace matrixos::test {

namespace {

std::string head(int status, const std::string &fields) {
  return "HTTP/1.1 " + std::to_string(status) + " Scripted\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\n" +
         fields + "\r\n";
}

std::string chunk(const std::string &text) {
  std::array<char, 20> size{};
  std::snprintf(size.data(), size.size(), "%zx\r\n", text.size());
  return size.data() + text + "\r\n";
}

/// Value of a header field of a request, or "".
std::string field(const std::string &head, const std::string &name) {
  const std::size_t at = head.find("\r\n" + name + ": ");
  if (at == std::string::npos) return {};
  const std::size_t start = at + name.size() + 4;
  return head.substr(start, head.find("\r\n", start) - start);
}

FakeRequest parse(const std::string &head) {
  FakeRequest request;
  request.head = head;
  const std::size_t space = head.find(' ');
  const std::size_t end = head.find(' ', space + 1);
  request.method = head.substr(0, space);
  std::string target = head.substr(space + 1, end - space - 1);
  if (target.size() > 3 && target.compare(0, 2, "/v") == 0 && target[2] >= '0' && target[2] <= '9') {
    target.erase(0, target.find('/', 1));
  }
  const std::size_t question = target.find('?');
  request.path = target.substr(0, question);
  if (question != std::string::npos) request.query = target.substr(question + 1);
  return request;
}

} // namespace

FakeAnswer answer(int status, const std::string &body) {
  if (status == 204 || status == 304) return {head(status, "")};
  return {head(status, "Content-Length: " + std::to_string(body.size()) + "\r\n") + body};
}

FakeAnswer chunked(int status, const std::vector<std::string> &parts) {
  std::string bytes = head(status, "Transfer-Encoding: chunked\r\n");
  for (const std::string &part : parts)
    bytes += chunk(part);
  return {bytes + "0\r\n\r\n"};
}

FakeAnswer truncated(int status, const std::string &body) {
  return {head(status, "Content-Length: " + std::to_string(body.size() + 100) + "\r\n") + body, 0,
          FakeAnswer::End::Close};
}

FakeAnswer halfChunk(int status, const std::string &body) {
  const std::string whole = chunk(body + body);
  return {head(status, "Transfer-Encoding: chunked\r\n") + chunk(body) + whole.substr(0, whole.size() / 2), 0,
          FakeAnswer::End::Close};
}

FakeAnswer lyingChunk(int status, const std::string &body) {
  return {head(status, "Transfer-Encoding: chunked\r\n") + "zz\r\n" + body + "\r\n0\r\n\r\n", 0,
          FakeAnswer::End::Close};
}

FakeAnswer unframed(int status, const std::string &body) {
  return {head(status, "") + body, 0, FakeAnswer::End::Close};
}

FakeAnswer flood(int status, std::size_t bytes) {
  return {head(status, "Content-Length: " + std::to_string(bytes) + "\r\n"), bytes, FakeAnswer::End::Close};
}

FakeAnswer headerFlood() {
  std::string bytes = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 4000; ++i)
    bytes += "X-Filler-" + std::to_string(i) + ": " + std::string(100, 'x') + "\r\n";
  return {bytes + "\r\n", 0, FakeAnswer::End::Close};
}

FakeAnswer garbage() {
  return {"SSH-2.0-OpenSSH_9.2\r\n\r\n", 0, FakeAnswer::End::Close};
}

FakeAnswer hang() {
  return {"", 0, FakeAnswer::End::Hang};
}

FakeAnswer hangUp() {
  return {"", 0, FakeAnswer::End::Close};
}

FakeAnswer stalled(int status, const std::string &start) {
  return {head(status, "Transfer-Encoding: chunked\r\n") + (start.empty() ? "" : chunk(start)), 0,
          FakeAnswer::End::Hang};
}

FakeEngine::FakeEngine(const std::filesystem::path &directory) : socketPath_(directory / "engine.sock") {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socketPath_.size() >= sizeof address.sun_path) throw std::runtime_error("the test directory's path is too long");
  std::memcpy(address.sun_path, socketPath_.c_str(), socketPath_.size());
  listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  stopFd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (::bind(listener_, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0 || ::listen(listener_, 64) != 0) {
    throw std::runtime_error("the fake engine cannot listen");
  }
  on("GET", "/version",
     answer(200, R"({"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Components": []})"));
  acceptor_ = std::thread([this] { acceptAll(); });
}

FakeEngine::~FakeEngine() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(stopFd_, &one, sizeof one);
  acceptor_.join();
  for (const auto &client : clients_) {
    client->thread.join();
    ::close(client->fd);
  }
  ::close(listener_);
  ::close(stopFd_);
}

void FakeEngine::on(const std::string &method, const std::string &path, HandlerFn handler) {
  const std::lock_guard lock(mutex_);
  handlers_[method + " " + path] = std::move(handler);
}

void FakeEngine::on(const std::string &method, const std::string &path, FakeAnswer fixed) {
  on(method, path, [fixed = std::move(fixed)](const FakeRequest &) { return fixed; });
}

std::vector<FakeRequest> FakeEngine::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

std::size_t FakeEngine::count(const std::string &method, const std::string &path) const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::count_if(requests_.begin(), requests_.end(), [&](const FakeRequest &request) {
    return request.method == method && request.path == path;
  }));
}

std::size_t FakeEngine::connections() const {
  const std::lock_guard lock(mutex_);
  return clients_.size();
}

void FakeEngine::dropConnections() {
  const std::lock_guard lock(mutex_);
  for (const auto &client : clients_)
    ::shutdown(client->fd, SHUT_RDWR);
}

void FakeEngine::acceptAll() {
  for (;;) {
    std::array<pollfd, 2> fds{pollfd{listener_, POLLIN, 0}, pollfd{stopFd_, POLLIN, 0}};
    ::poll(fds.data(), fds.size(), -1);
    if (fds[1].revents != 0) return;
    if (fds[0].revents == 0) continue; // a signal
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    auto client = std::make_unique<Client>();
    client->fd = fd;
    client->thread = std::thread([this, fd] {
      serve(fd);
      // Closed by the destructor: the number must not be reused while dropConnections() may see it.
      ::shutdown(fd, SHUT_RDWR);
    });
    const std::lock_guard lock(mutex_);
    clients_.push_back(std::move(client));
  }
}

void FakeEngine::serve(int fd) {
  std::string pending;
  for (;;) {
    const std::size_t end = pending.find("\r\n\r\n");
    if (end != std::string::npos) {
      FakeRequest request = parse(pending.substr(0, end + 2));
      const std::string length = field(request.head, "Content-Length");
      const std::size_t size = length.empty() ? 0 : std::stoul(length);
      if (pending.size() >= end + 4 + size) {
        request.body = pending.substr(end + 4, size);
        pending.erase(0, end + 4 + size);
        if (!send(fd, answerTo(request))) return;
        continue;
      }
    }
    std::array<pollfd, 2> fds{pollfd{fd, POLLIN, 0}, pollfd{stopFd_, POLLIN, 0}};
    ::poll(fds.data(), fds.size(), -1);
    if (fds[1].revents != 0) return;
    if (fds[0].revents == 0) continue; // a signal
    std::array<char, 16384> buffer{};
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got <= 0) return;
    pending.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

FakeAnswer FakeEngine::answerTo(const FakeRequest &request) {
  // Handlers run one at a time, so that a test may share plain variables among them and read them after count().
  const std::lock_guard lock(mutex_);
  requests_.push_back(request);
  const auto found = handlers_.find(request.method + " " + request.path);
  if (found == handlers_.end()) return answer(404, R"({"message": "page not found"})");
  return found->second(request);
}

/// False when the connection is over.
bool FakeEngine::send(int fd, const FakeAnswer &answer) const {
  const auto put = [&](const char *data, std::size_t size) {
    while (size > 0) {
      const ssize_t sent = ::send(fd, data, size, MSG_NOSIGNAL);
      if (sent <= 0) return false;
      data += sent;
      size -= static_cast<std::size_t>(sent);
    }
    return true;
  };
  if (!put(answer.bytes.data(), answer.bytes.size())) return false;
  const std::string filler(64U * 1024, ' ');
  for (std::size_t left = answer.flood; left > 0;) {
    const std::size_t part = std::min(left, filler.size());
    if (!put(filler.data(), part)) return false;
    left -= part;
  }
  if (answer.end == FakeAnswer::End::KeepAlive) return true;
  if (answer.end == FakeAnswer::End::Close) return false;
  // Silence, until the client goes away or the engine ends.
  for (;;) {
    std::array<pollfd, 2> fds{pollfd{fd, POLLIN, 0}, pollfd{stopFd_, POLLIN, 0}};
    ::poll(fds.data(), fds.size(), -1);
    if (fds[0].revents == 0 && fds[1].revents == 0) continue; // a signal
    std::array<char, 512> buffer{};
    if (fds[1].revents != 0 || ::read(fd, buffer.data(), buffer.size()) <= 0) return false;
  }
}

} // namespace matrixos::test
