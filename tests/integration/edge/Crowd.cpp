#include "Crowd.h"

#include <sys/resource.h>

#include <algorithm>
#include <array>

namespace matrixos::test {

std::optional<Response> CrowdClient::takeResponse() {
  const std::size_t end = in_.find("\r\n\r\n");
  if (end == std::string::npos) return std::nullopt;
  Response out;
  out.status = std::stoi(in_.substr(9, 3));
  for (std::size_t at = in_.find("\r\n") + 2; at < end + 2;) {
    const std::size_t lineEnd = in_.find("\r\n", at);
    const std::size_t colon = in_.find(':', at);
    std::string name = in_.substr(at, colon - at);
    std::transform(name.begin(), name.end(), name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
    out.headers[name] = in_.substr(colon + 2, lineEnd - colon - 2);
    at = lineEnd + 2;
  }
  const auto length = out.headers.find("content-length");
  const std::size_t size = length == out.headers.end() ? 0 : std::stoul(length->second);
  if (in_.size() < end + 4 + size) return std::nullopt;
  out.body = in_.substr(end + 4, size);
  in_.erase(0, end + 4 + size);
  return out;
}

std::optional<std::string> CrowdClient::takeFrame() {
  if (in_.size() < 2) return std::nullopt;
  const std::size_t size = static_cast<unsigned char>(in_[1]);
  if (in_.size() < 2 + size) return std::nullopt;
  std::string payload = in_.substr(2, size);
  in_.erase(0, 2 + size);
  return payload;
}

bool CrowdClient::isDown() const noexcept {
  tcp_info info{};
  socklen_t size = sizeof info;
  return ended_ || (::getsockopt(fd_, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_state == TCP_CLOSE);
}

Crowd::~Crowd() {
  for (Client &client : clients_)
    end(client);
}

Crowd::Client &Crowd::add(const std::string &first) {
  Client &client = clients_.emplace_back();
  client.fd_ = bench::connectTo(port_);
  client.out_ = first;
  poller_.add(client.fd_, EPOLLIN | EPOLLOUT, &client);
  return client;
}

Crowd::Client &Crowd::addDeaf(const std::string &first) {
  Client &client = clients_.emplace_back();
  client.fd_ = bench::streamSocket();
  client.reads_ = false;
  const int least = 1;
  ::setsockopt(client.fd_, SOL_SOCKET, SO_RCVBUF, &least, sizeof least); // before it connects: sets the window
  const sockaddr_in address = bench::loopback(port_);
  if (::connect(client.fd_, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0 &&
      errno != EINPROGRESS) {
    bench::fail("connect");
  }
  client.out_ = first;
  poller_.add(client.fd_, EPOLLOUT, &client);
  return client;
}

void Crowd::send(Client &client, std::string_view bytes) {
  client.out_ += bytes;
  if (client.fd_ >= 0) watch(client);
}

void Crowd::listen(Client &client) {
  client.reads_ = true;
  if (client.fd_ >= 0) watch(client);
}

void Crowd::leave(Client &client) {
  end(client);
  clients_.remove_if([&](const Client &one) { return &one == &client; });
}

bool Crowd::until(const std::function<bool()> &condition, std::chrono::milliseconds limit) {
  const auto patience = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= patience) return false;
    poller_.wait(10, [this](void *user, unsigned events) { handle(*static_cast<Client *>(user), events); });
  }
  return true;
}

std::size_t Crowd::count(const std::function<bool(const Client &)> &is) const {
  return static_cast<std::size_t>(std::count_if(clients_.begin(), clients_.end(), is));
}

void Crowd::watch(Client &client) {
  poller_.change(client.fd_, (client.reads_ ? EPOLLIN : 0U) | (client.out_.empty() ? 0U : EPOLLOUT), &client);
}

void Crowd::handle(Client &client, unsigned events) {
  if (client.fd_ < 0) return;
  if ((events & EPOLLOUT) != 0) {
    const ssize_t put = ::send(client.fd_, client.out_.data(), client.out_.size(), MSG_NOSIGNAL);
    if (put > 0) client.out_.erase(0, static_cast<std::size_t>(put));
    // What a side that gave up said before can still be read.
    if (put < 0 && !bench::wouldBlock()) client.out_.clear();
    watch(client);
  }
  if (!client.reads_) {
    if ((events & (EPOLLHUP | EPOLLERR)) != 0) end(client);
    return;
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
  std::array<char, 64 * 1024> block; // NOLINT(cppcoreguidelines-pro-type-member-init): only written to
  const ssize_t got = ::recv(client.fd_, block.data(), block.size(), 0);
  if (got > 0)
    client.in_.append(block.data(), static_cast<std::size_t>(got));
  else if (got == 0 || !bench::wouldBlock())
    end(client);
}

void Crowd::end(Client &client) {
  if (client.fd_ >= 0) ::close(client.fd_);
  client.fd_ = -1;
  client.ended_ = true;
}

std::string getRequest(const std::string &handle, const std::string &nonce, const std::string &path,
                       const std::string &fields) {
  return "GET " + path + " HTTP/1.1\r\nHost: " + handle + ".localhost\r\nX-Nonce: " + nonce + "\r\n" + fields + "\r\n";
}

std::string upgradeRequest(const std::string &handle, const std::string &nonce) {
  return getRequest(handle, nonce, "/ws",
                    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
                        std::string(bench::kWebSocketKey) + "\r\n");
}

std::string textFrame(std::string_view text) {
  std::string out("\x81", 1);
  out += static_cast<char>(0x80U | text.size());
  return out.append(4, '\0').append(text); // a mask of zeros changes nothing
}

bool raiseDescriptorLimit(std::size_t needed) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur >= needed;
}

} // namespace matrixos::test
