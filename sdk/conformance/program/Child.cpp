#include "Child.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <thread>

namespace matrixos::conformance {

namespace {

std::optional<std::string> takeLine(std::string &buffer) {
  const std::size_t end = buffer.find('\n');
  if (end == std::string::npos) return std::nullopt;
  std::string line = buffer.substr(0, end);
  buffer.erase(0, end + 1);
  return line;
}

/// What runs between fork and exec: only calls that are allowed there.
[[noreturn]] void become(int socket, pid_t parent, char *const *argv) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  if (socket == Child::kSocket)
    ::fcntl(socket, F_SETFD, 0);
  else
    ::dup2(socket, Child::kSocket);
  ::execv("/proc/self/exe", argv);
  ::_exit(127);
}

} // namespace

bool sendLine(int fd, const std::string &line) {
  const std::string bytes = line + "\n";
  for (std::size_t sent = 0; sent < bytes.size();) {
    const ssize_t now = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (now < 0 && errno == EINTR) continue;
    if (now <= 0) return false;
    sent += static_cast<std::size_t>(now);
  }
  return true;
}

std::optional<std::string> receiveLine(int fd, std::string &buffer) {
  for (;;) {
    if (auto line = takeLine(buffer)) return line;
    char bytes[16384];
    const ssize_t got = ::read(fd, bytes, sizeof bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return std::nullopt;
    buffer.append(bytes, static_cast<std::size_t>(got));
  }
}

Child::Child(const std::vector<std::string> &arguments) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) throw std::runtime_error("socketpair failed");
  std::string name = "matrixos-runtime-conformance";
  std::vector<char *> argv{name.data()};
  for (const std::string &argument : arguments)
    argv.push_back(const_cast<char *>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) become(pair[1], parent, argv.data());
  ::close(pair[1]);
  fd_ = pair[0];
  if (pid_ < 0) throw std::runtime_error("fork failed");
}

Child::~Child() {
  wait(std::chrono::milliseconds{0});
  ::close(fd_);
}

bool Child::send(const std::string &line) {
  return sendLine(fd_, line);
}

std::optional<std::string> Child::receive(std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    if (auto line = takeLine(buffer_)) return line;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0 || ended_) return std::nullopt;
    pollfd poll{fd_, POLLIN, 0};
    if (::poll(&poll, 1, static_cast<int>(left.count())) <= 0) continue;
    char bytes[16384];
    const ssize_t got = ::read(fd_, bytes, sizeof bytes);
    if (got > 0)
      buffer_.append(bytes, static_cast<std::size_t>(got));
    else if (got == 0 || errno != EINTR)
      ended_ = true;
  }
}

void Child::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

std::string Child::wait(std::chrono::milliseconds limit) {
  if (pid_ <= 0) return "ended before";
  const auto end = std::chrono::steady_clock::now() + limit;
  int status = 0;
  while (::waitpid(pid_, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() >= end) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, &status, 0);
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
  pid_ = -1;
  status_ = status;
  if (WIFEXITED(status)) return "exit status " + std::to_string(WEXITSTATUS(status));
  return "signal " + std::to_string(WTERMSIG(status)) + " (" + ::strsignal(WTERMSIG(status)) + ")";
}

} // namespace matrixos::conformance
