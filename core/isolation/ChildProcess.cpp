#include "isolation/ChildProcess.h"

#include "common/SystemError.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace matrixos::isolation {

namespace {

#ifndef P_PIDFD // glibc 2.36 has it, older kernel headers do not
#define P_PIDFD 3
#endif

/// Names of places and languages, and what instrumented builds read. Everything else may be a secret.
constexpr std::array<std::string_view, 11> kEnvironment{
    "PATH",         "HOME",          "USER",        "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH",
    "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"};

std::vector<char *> allowedEnvironment() {
  std::vector<char *> list;
  for (char **at = environ; at != nullptr && *at != nullptr; ++at) {
    const std::string_view entry(*at);
    const std::string_view name = entry.substr(0, entry.find('='));
    const bool known = std::find(kEnvironment.begin(), kEnvironment.end(), name) != kEnvironment.end();
    if (known || name.substr(0, 3) == "LC_") list.push_back(*at);
  }
  list.push_back(nullptr);
  return list;
}

struct FileActions {
  posix_spawn_file_actions_t value{};
  FileActions() { ::posix_spawn_file_actions_init(&value); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&value); }
};

struct Attributes {
  posix_spawnattr_t value{};
  Attributes() {
    ::posix_spawnattr_init(&value);
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&value, &none);
    ::posix_spawnattr_setsigdefault(&value, &all);
    ::posix_spawnattr_setflags(&value, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  }
  ~Attributes() { ::posix_spawnattr_destroy(&value); }
};

} // namespace

std::string Ending::toString() const {
  if (signal == 0) return "ended with exit code " + std::to_string(code);
  const char *name = ::sigabbrev_np(signal);
  return "died with " + (name != nullptr ? std::string("SIG") + name : "signal " + std::to_string(signal));
}

ChildProcess ChildProcess::spawn(const std::filesystem::path &program, const std::vector<std::string> &arguments,
                                 const std::vector<int> &pass) {
  const std::string path = program.string();
  std::vector<char *> argv{const_cast<char *>(path.c_str())};
  for (const std::string &argument : arguments)
    argv.push_back(const_cast<char *>(argument.c_str()));
  argv.push_back(nullptr);
  std::vector<char *> environment = allowedEnvironment();

  const FileActions actions;
  auto *list = const_cast<posix_spawn_file_actions_t *>(&actions.value);
  ::posix_spawn_file_actions_addopen(list, 0, "/dev/null", O_RDONLY, 0);
  // Moved out of the way first, so that placing one does not overwrite another.
  std::vector<FileDescriptor> aside;
  for (const int fd : pass) {
    aside.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 64));
    if (!aside.back()) common::throwErrno(errno, "passing a descriptor to " + path);
  }
  int next = 3;
  for (const FileDescriptor &fd : aside)
    ::posix_spawn_file_actions_adddup2(list, fd.get(), next++);
  ::posix_spawn_file_actions_addclosefrom_np(list, next);
  const Attributes attributes;

  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, path.c_str(), list, &attributes.value, argv.data(), environment.data());
  if (error != 0) common::throwErrno(error, "starting " + path);
  FileDescriptor fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) {
    const int why = errno;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    common::throwErrno(why, "watching the process of " + path);
  }
  return ChildProcess(pid, std::move(fd));
}

ChildProcess::ChildProcess(ChildProcess &&other) noexcept
    : pid_(std::exchange(other.pid_, -1)), fd_(std::move(other.fd_)), ending_(other.ending_) {}

ChildProcess::~ChildProcess() {
  if (pid_ < 0 || ending_) return;
  kill();
  wait(std::chrono::seconds{10}); // longer only when it hangs in the kernel: then init has it once we are gone
}

void ChildProcess::kill() const noexcept {
  // By the descriptor, which never names another process.
  if (!ending_) ::syscall(SYS_pidfd_send_signal, fd_.get(), SIGKILL, nullptr, 0);
}

std::optional<Ending> ChildProcess::ended() {
  if (ending_) return ending_;
  siginfo_t info{};
  if (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(fd_.get()), &info, WEXITED | WNOHANG) != 0 ||
      info.si_pid == 0) {
    return std::nullopt;
  }
  if (info.si_code == CLD_EXITED)
    ending_ = Ending{info.si_status, 0};
  else
    ending_ = Ending{0, info.si_status};
  return ending_;
}

std::optional<Ending> ChildProcess::wait(std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    if (ended()) return ending_;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return std::nullopt;
    pollfd entry{fd_.get(), POLLIN, 0};
    ::poll(&entry, 1, static_cast<int>(left.count()));
  }
}

} // namespace matrixos::isolation
