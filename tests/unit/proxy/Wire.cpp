#include "Wire.h"

#include "Kit.h"

#include <dirent.h>
#include <linux/sockios.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace kit {

namespace {

constexpr int kMostDescriptors = 2048; // that a test has open

/// The number after the name of a field, or npos.
std::size_t numberIn(const std::string &head, const char *name) {
  const std::string value = fieldOf(head, name);
  return value.empty() ? std::string::npos : std::stoul(value);
}

sockaddr_in nameOf(int fd, int (*ask)(int, sockaddr *, socklen_t *)) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (ask(fd, reinterpret_cast<sockaddr *>(&address), &size) != 0) address.sin_family = AF_UNSPEC;
  return address;
}

bool sameAddress(const sockaddr_in &a, const sockaddr_in &b) {
  return a.sin_family == AF_INET && b.sin_family == AF_INET && a.sin_port == b.sin_port &&
         a.sin_addr.s_addr == b.sin_addr.s_addr;
}

/// Where the chunked body that begins at `at` ends.
std::size_t endOfChunks(std::string_view text, std::size_t at, std::string *payload = nullptr) {
  for (;;) {
    const std::size_t line = text.find("\r\n", at);
    if (line == std::string_view::npos) return line;
    const std::size_t size = std::stoul(std::string(text.substr(at, line - at)), nullptr, 16);
    at = line + 2;
    if (size == 0) break;
    if (text.size() < at + size + 2) return std::string_view::npos;
    if (payload != nullptr) payload->append(text.substr(at, size));
    at += size + 2;
  }
  // Trailers, up to the empty line.
  for (;;) {
    const std::size_t line = text.find("\r\n", at);
    if (line == std::string_view::npos) return line;
    if (line == at) return at + 2;
    at = line + 2;
  }
}

} // namespace

const char *nameOf(Cut cut) {
  switch (cut) {
  case Cut::Reset:
    return "reset";
  case Cut::Close:
    return "close";
  case Cut::HalfClose:
    return "half-close";
  }
  return "";
}

End::End(int fd) : fd_(fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void End::say(std::string_view text, std::size_t first, std::size_t others) {
  piece_ = first == 0 ? others : first;
  others_ = others;
  paced_ = piece_ != SIZE_MAX || others != SIZE_MAX;
  toSay_ += text;
}

void End::cutAfter(Cut cut, bool patient) {
  cut_ = cut;
  patient_ = patient;
  cutPending_ = true;
}

void End::step() {
  if (fd_ < 0) return;
  speak();
  if (cutPending_ && toSay_.empty() && (!patient_ || consumed())) cut(cut_);
  if (fd_ >= 0) listen();
}

void End::speak() {
  while (!toSay_.empty()) {
    if (paced_ && !consumed()) return;
    const std::size_t size = std::min(piece_, toSay_.size() - said_);
    const ssize_t put = ::send(fd_, toSay_.data() + said_, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put < 0 && errno == EAGAIN) return;
    said_ += static_cast<std::size_t>(put);
    piece_ = others_;
    if (put >= 0 && said_ < toSay_.size()) continue;
    toSay_.clear(); // all of it, or nobody listens any more
    said_ = 0;
  }
}

void End::listen() {
  char block[16384];
  for (std::size_t left = appetite_; left != 0;) {
    const ssize_t got = ::recv(fd_, block, std::min(sizeof block, left), MSG_DONTWAIT);
    if (got > 0) {
      heard_.append(block, static_cast<std::size_t>(got));
      left -= static_cast<std::size_t>(got);
      continue;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    reset_ = reset_ || got < 0;
    ended_ = true;
    return;
  }
}

void End::cut(Cut cut) {
  cutPending_ = false;
  cutDone_ = true;
  if (cut == Cut::HalfClose) {
    ::shutdown(fd_, SHUT_WR);
    return;
  }
  listen();
  if (cut == Cut::Reset) {
    matrixos::test::resetOnClose(fd_);
  }
  close();
}

void End::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  toSay_.clear();
}

/// Whether a descriptor is the other end of this connection.
bool End::isOtherSide(int fd) const {
  return sameAddress(nameOf(fd, ::getpeername), nameOf(fd_, ::getsockname)) &&
         sameAddress(nameOf(fd, ::getsockname), nameOf(fd_, ::getpeername));
}

bool End::consumed() {
  if (over()) return true;
  // What has not been sent yet is not to be seen on the other side either. (TIOCOUTQ would wait for delayed ACKs.)
  int number = 0;
  if (::ioctl(fd_, SIOCOUTQNSD, &number) == 0 && number != 0) return false;
  if (otherSide_ < 0 || !isOtherSide(otherSide_)) {
    otherSide_ = kMostDescriptors;
    while (--otherSide_ > 2 && !isOtherSide(otherSide_)) {
    }
  }
  if (otherSide_ > 2) return ::ioctl(otherSide_, FIONREAD, &number) == 0 && number == 0;
  otherSide_ = -1;
  // Not accepted yet, or gone.
  tcp_info info{};
  socklen_t size = sizeof info;
  ::getsockopt(fd_, IPPROTO_TCP, TCP_INFO, &info, &size);
  return info.tcpi_state != TCP_ESTABLISHED && info.tcpi_state != TCP_FIN_WAIT1 && info.tcpi_state != TCP_FIN_WAIT2;
}

std::size_t endOfMessage(std::string_view text, bool answer, bool connectionEnded) {
  const std::size_t end = text.find("\r\n\r\n");
  if (end == std::string_view::npos) return end;
  const std::string head(text.substr(0, end + 4));
  const std::size_t body = end + 4;
  if (answer && (head[9] == '1' || head.substr(9, 3) == "204" || head.substr(9, 3) == "304")) return body;
  if (fieldOf(head, "Transfer-Encoding") == "chunked") return endOfChunks(text, body);
  const std::size_t length = numberIn(head, "Content-Length");
  if (length != std::string::npos) return text.size() < body + length ? std::string_view::npos : body + length;
  if (!answer) return body;
  return connectionEnded ? text.size() : std::string_view::npos;
}

std::string payloadOf(std::string_view message) {
  const std::size_t body = message.find("\r\n\r\n") + 4;
  if (fieldOf(std::string(message.substr(0, body)), "Transfer-Encoding") != "chunked")
    return std::string(message.substr(body));
  std::string payload;
  endOfChunks(message, body, &payload);
  return payload;
}

std::size_t openDescriptors() {
  DIR *folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) throw std::runtime_error("/proc/self/fd");
  std::size_t count = 0;
  while (::readdir(folder) != nullptr)
    ++count;
  ::closedir(folder);
  return count;
}

std::size_t bytesInUse() {
  return ::mallinfo2().uordblks;
}

} // namespace kit
