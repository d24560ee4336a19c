#include "NameServer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

namespace stand {

namespace {

constexpr std::size_t kHead = 12; // RFC 1035 §4.1.1

void put(std::string &out, std::uint32_t value, int bytes) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8)
    out += static_cast<char>(value >> static_cast<unsigned>(shift));
}

/// Behind the name of the question, which is never compressed.
std::size_t endOfName(const std::string &question) {
  std::size_t at = kHead;
  while (at < question.size() && question[at] != 0)
    at += static_cast<unsigned char>(question[at]) + 1U;
  return at + 1;
}

} // namespace

NameServer::NameServer() : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in bound{};
  bound.sin_family = AF_INET;
  bound.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof bound;
  if (::bind(fd_, reinterpret_cast<sockaddr *>(&bound), size) != 0 ||
      ::getsockname(fd_, reinterpret_cast<sockaddr *>(&bound), &size) != 0)
    throw std::runtime_error("no port for a name server");
  port_ = ntohs(bound.sin_port);
  thread_ = std::thread([this] { run(); });
}

NameServer::~NameServer() {
  stopping_ = true;
  thread_.join();
  ::close(fd_);
}

std::string NameServer::address() const {
  return "127.0.0.1:" + std::to_string(port_);
}

void NameServer::say(Script script) {
  const std::lock_guard lock(mutex_);
  script_ = std::move(script);
}

void NameServer::say(std::vector<Record> records) {
  say([records = std::move(records)](const std::string &question) {
    return std::vector{answer(question, records, records.empty() ? 3 : 0)};
  });
}

int NameServer::typeOf(const std::string &question) {
  const std::size_t at = endOfName(question);
  return at + 4 <= question.size() ? static_cast<unsigned char>(question[at + 1]) : 0;
}

std::string NameServer::nameOf(const std::string &question) {
  std::string out;
  for (std::size_t at = kHead; at < question.size() && question[at] != 0;) {
    const std::size_t size = static_cast<unsigned char>(question[at]);
    out += (out.empty() ? "" : ".") + question.substr(at + 1, size);
    at += size + 1;
  }
  return out;
}

std::string NameServer::answer(const std::string &question, const std::vector<Record> &records, int code) {
  const std::size_t end = endOfName(question) + 4;
  std::string body;
  std::uint32_t count = 0;
  for (const Record &record : records) {
    if (record.type != typeOf(question)) continue;
    std::array<char, 16> address{};
    ::inet_pton(record.type == kA ? AF_INET : AF_INET6, record.address.c_str(), address.data());
    body += "\xc0\x0c"; // the name of the question
    put(body, static_cast<std::uint32_t>(record.type), 2);
    put(body, 1, 2);
    put(body, record.lifetime, 4);
    const std::size_t size = record.type == kA ? 4 : 16;
    put(body, static_cast<std::uint32_t>(size), 2);
    body.append(address.data(), size);
    ++count;
  }
  std::string out = question.substr(0, 2);
  put(out, 0x8180U | static_cast<std::uint32_t>(code), 2);
  put(out, 1, 2);
  put(out, count, 2);
  put(out, 0, 4);
  return out + question.substr(kHead, end - kHead) + body;
}

void NameServer::run() {
  while (!stopping_) {
    pollfd waiter{fd_, POLLIN, 0};
    if (::poll(&waiter, 1, 20) <= 0) continue;
    std::array<char, 1500> block{};
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const ssize_t got = ::recvfrom(fd_, block.data(), block.size(), 0, reinterpret_cast<sockaddr *>(&from), &size);
    if (got < static_cast<ssize_t>(kHead)) continue;
    ++asked_;
    Script script;
    {
      const std::lock_guard lock(mutex_);
      script = script_;
    }
    if (!script) continue;
    for (const std::string &bytes : script(std::string(block.data(), static_cast<std::size_t>(got))))
      ::sendto(fd_, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr *>(&from), size);
  }
}

} // namespace stand
