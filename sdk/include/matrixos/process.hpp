/// matrixos/process.hpp: programs that outlive whoever started them, for runtimes whose instances are processes.
///
/// A process is known by its id and the time of its start, so that a recycled id is never taken for it, let alone
/// signalled. Each program runs in a session of its own; what it starts belongs to the session unless it leaves it. The
/// process that starts a program is its parent and learns its exit code (reapProcess()); after a restart the program
/// can only be watched and ended. SIGCHLD is left alone.
#pragma once

#include <matrixos/call.hpp>
#include <matrixos/file_descriptor.hpp>
#include <matrixos/status.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace matrixos {
inline namespace v1 {

namespace process {

/// A small file of /proc or /sys; "" when it cannot be read.
inline std::string readSmallFile(const std::string &path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  std::array<char, 4096> space{};
  while (file) {
    const ssize_t count = ::read(file.get(), space.data(), space.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    text.append(space.data(), static_cast<std::size_t>(count));
  }
  return text;
}

/// What /proc/PID/stat says (proc(5)).
struct Stat {
  char state = '?';
  pid_t session = 0;
  std::uint64_t userTicks = 0;
  std::uint64_t systemTicks = 0;
  std::uint64_t startTime = 0; ///< ticks since boot
  std::int64_t residentPages = 0;

  bool isDead() const noexcept { return state == 'Z' || state == 'X'; }
};

/// Nothing when there is no such process.
inline std::optional<Stat> readStat(pid_t pid) {
  const std::string text = readSmallFile("/proc/" + std::to_string(pid) + "/stat");
  // The name before it may hold anything, parentheses too.
  const std::size_t close = text.rfind(')');
  if (close == std::string::npos || close + 2 >= text.size()) return std::nullopt;
  Stat stat;
  stat.state = text[close + 2];
  std::size_t at = close + 3;
  for (int field = 4; field <= 24 && at < text.size(); ++field) {
    char *end = nullptr;
    const unsigned long long value = std::strtoull(text.c_str() + at, &end, 10);
    at = static_cast<std::size_t>(end - text.c_str());
    if (field == 6) stat.session = static_cast<pid_t>(value);
    if (field == 14) stat.userTicks = value;
    if (field == 15) stat.systemTicks = value;
    if (field == 22) stat.startTime = value;
    if (field == 24) stat.residentPages = static_cast<std::int64_t>(value);
  }
  return stat;
}

/// The first part of the kernel's id of this boot: ids and start times begin anew with each.
inline const std::string &bootId() {
  static const std::string kId = readSmallFile("/proc/sys/kernel/random/boot_id").substr(0, 8);
  return kId;
}

inline Error failed(const std::string &what) {
  const int code = errno;
  const bool full = code == EAGAIN || code == ENOMEM || code == EMFILE || code == ENFILE;
  return Error(full ? Status::ResourceExhausted : Status::FailedPrecondition,
               what + ": " + std::generic_category().message(code), "PROCESS");
}

} // namespace process

/// One process of one boot.
struct ProcessId {
  pid_t pid = 0;
  std::uint64_t startTime = 0; ///< ticks since boot
  std::string boot{};

  /// "4711:8912345:1f0c29aa"; parse() reads it back, and gives pid 0 for anything else.
  std::string text() const { return std::to_string(pid) + ":" + std::to_string(startTime) + ":" + boot; }
  static ProcessId parse(const std::string &text) {
    ProcessId id;
    char *end = nullptr;
    const long pid = std::strtol(text.c_str(), &end, 10);
    if (pid <= 1 || pid > INT32_MAX || *end != ':') return {};
    id.startTime = std::strtoull(end + 1, &end, 10);
    if (*end != ':') return {};
    id.pid = static_cast<pid_t>(pid);
    id.boot = end + 1;
    return id;
  }
};

namespace process {

/// Nothing when the process is gone or its id belongs to another one by now; a zombie is still there.
inline std::optional<Stat> statOf(const ProcessId &id) {
  if (id.pid <= 1 || id.boot != bootId()) return std::nullopt;
  const std::optional<Stat> stat = readStat(id.pid);
  return stat && stat->startTime == id.startTime ? stat : std::nullopt;
}

/// A descriptor of the process with this id and start, or none. What is sent through it reaches no other.
inline FileDescriptor open(const ProcessId &id) {
  FileDescriptor fd(static_cast<int>(::syscall(SYS_pidfd_open, id.pid, 0U)));
  if (fd && !statOf(id)) fd.reset();
  return fd;
}

/// Calls `member` for each living process of the session that `id` leads or led.
inline void eachMember(const ProcessId &id, const std::function<void(const ProcessId &, const Stat &)> &member) {
  const std::optional<Stat> leader = readStat(id.pid);
  // As long as a session has members its number is given to nobody: a leader with another start is another session.
  if (id.pid <= 1 || id.boot != bootId() || (leader && leader->startTime != id.startTime)) return;
  const std::unique_ptr<DIR, int (*)(DIR *)> dir(::opendir("/proc"), &::closedir);
  if (!dir) throw failed("/proc cannot be read");
  while (const dirent *entry = ::readdir(dir.get())) {
    const auto pid = static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10));
    if (pid <= 1) continue;
    const std::optional<Stat> stat = readStat(pid);
    if (stat && stat->session == id.pid && !stat->isDead()) member({pid, stat->startTime, id.boot}, *stat);
  }
}

/// Sends `signal` to the living members of the session that `id` leads or led; how many there were. `spareLeader`
/// leaves `id` itself out.
inline int signalSession(const ProcessId &id, int signal, bool spareLeader = false) {
  int count = 0;
  eachMember(id, [&](const ProcessId &member, const Stat &) {
    if (spareLeader && member.pid == id.pid) return;
    const FileDescriptor fd = open(member);
    if (fd && ::syscall(SYS_pidfd_send_signal, fd.get(), signal, nullptr, 0U) == 0) ++count;
  });
  return count;
}

/// Waits until the process is dead, at most `limit`, until the call is over at the latest; whether it is.
inline bool waitForEnd(const Call &call, const ProcessId &id, std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  const FileDescriptor fd = open(id);
  for (;;) {
    const std::optional<Stat> stat = statOf(id);
    if (!stat || stat->isDead()) return true;
    call.throwIfDone();
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    // Short slices where the kernel cannot tell of the end, or nobody of the cancellation.
    const auto slice =
        call.remaining(std::min(left, std::chrono::milliseconds{fd && call.cancelFd() >= 0 ? 1000 : 20}));
    std::array<pollfd, 2> fds{{{fd.get(), POLLIN, 0}, {call.cancelFd(), POLLIN, 0}}};
    static_cast<void>(::poll(fds.data(), fds.size(), static_cast<int>(slice.count()) + 1));
  }
}

/// The program's file, searched in `path` as a shell would. Throws Error(FailedPrecondition, COMMAND_NOT_FOUND).
inline std::string findProgram(const std::string &name, const std::string &path) {
  const auto runs = [](const std::string &file) {
    struct stat info {};
    return ::stat(file.c_str(), &info) == 0 && S_ISREG(info.st_mode) && ::access(file.c_str(), X_OK) == 0;
  };
  if (name.find('/') != std::string::npos && runs(name)) return name;
  for (std::size_t at = 0; name.find('/') == std::string::npos && at <= path.size();) {
    const std::size_t colon = std::min(path.find(':', at), path.size());
    const std::string file = path.substr(at, colon - at) + "/" + name;
    if (colon != at && runs(file)) return file;
    at = colon + 1;
  }
  throw Error(Status::FailedPrecondition, "there is no program \"" + name.substr(0, 200) + "\" that may be run",
              "COMMAND_NOT_FOUND");
}

} // namespace process

/// What to start, and how.
struct SpawnOptions {
  std::vector<std::string> argv;          ///< the first is a path, or a name that is searched in env's PATH
  std::map<std::string, std::string> env; ///< all of the environment; PATH gets a value when it has none
  std::string directory = "/";
  std::string outputFile{}; ///< stdout and stderr are appended to it; mode 0600 when new; empty: discarded
  /// Who it runs as, without further groups; takes a caller that is root. None: as the caller.
  std::optional<std::pair<uid_t, gid_t>> user{};
};

namespace process {

/// Descriptors for the child, above those it will have.
struct Pipes {
  FileDescriptor null, output, gateRead, gateWrite, failureRead, failureWrite;

  explicit Pipes(const std::string &outputFile) {
    null = high(::open("/dev/null", O_RDWR | O_CLOEXEC));
    const char *file = outputFile.empty() ? "/dev/null" : outputFile.c_str();
    output = high(::open(file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!output) throw failed("the log " + outputFile + " cannot be opened");
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw failed("no pipe can be made");
    gateRead = high(ends[0]);
    gateWrite = high(ends[1]);
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw failed("no pipe can be made");
    failureRead = high(ends[0]);
    failureWrite = high(ends[1]);
    if (!null || !gateRead || !gateWrite || !failureRead || !failureWrite) throw failed("no descriptor is left");
  }

private:
  static FileDescriptor high(int fd) {
    const FileDescriptor low(fd);
    return FileDescriptor(low ? ::fcntl(low.get(), F_DUPFD_CLOEXEC, 16) : -1);
  }
};

/// _exit() as it is: sanitizers put one of their own in its place, which writes what the parent has buffered.
[[noreturn]] inline void leave(int code) noexcept {
  for (;;)
    ::syscall(SYS_exit_group, code);
}

/// In the child of a process with threads: only what POSIX calls async-signal-safe.
[[noreturn]] inline void runChild(const Pipes &pipes, const SpawnOptions &options, const char *file, char *const *argv,
                                  char *const *env) noexcept {
  constexpr int kGate = 3;
  constexpr int kFailure = 4;
  const auto give = [](int from, int to) { return ::dup2(from, to) >= 0; };
  bool good = ::setsid() >= 0 && give(pipes.null.get(), 0) && give(pipes.output.get(), 1) &&
              give(pipes.output.get(), 2) && give(pipes.gateRead.get(), kGate) &&
              give(pipes.failureWrite.get(), kFailure) && ::fcntl(kFailure, F_SETFD, FD_CLOEXEC) == 0;
  if (::syscall(SYS_close_range, kFailure + 1U, ~0U, 0U) != 0) {
    for (int fd = kFailure + 1; fd < 65536; ++fd)
      ::close(fd);
  }
  for (int number = 1; number < NSIG; ++number)
    static_cast<void>(std::signal(number, SIG_DFL));
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::umask(022);
  char go = 0;
  // The parent opens the gate once it knows where to find us again; when it dies before, nobody ever ran.
  while (good && ::read(kGate, &go, 1) < 0 && errno == EINTR) {
  }
  if (good && go != 1) leave(125);
  ::close(kGate);
  if (good && options.user) {
    // Raw calls: the C library's would wait for threads that a fork does not have.
    const uid_t uid = options.user->first;
    const gid_t gid = options.user->second;
    good = ::syscall(SYS_setgroups, 0, nullptr) == 0 && ::syscall(SYS_setresgid, gid, gid, gid) == 0 &&
           ::syscall(SYS_setresuid, uid, uid, uid) == 0;
  }
  good = good && ::chdir(options.directory.c_str()) == 0;
  if (good) ::execve(file, argv, env);
  const int code = errno;
  [[maybe_unused]] const auto written = ::write(kFailure, &code, sizeof code);
  leave(127);
}

} // namespace process

/// The exit code of a child that is dead, or 128 + the signal that killed it, and lets the kernel forget it. -1 when it
/// is not known: it lives, is no child of this process, or was asked for before.
inline int reapProcess(const ProcessId &id) noexcept {
  int status = 0;
  if (id.pid <= 1 || !process::statOf(id) || ::waitpid(id.pid, &status, WNOHANG) != id.pid) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// Starts a program in a session of its own and returns once it runs. `ready` is called when its id is known and before
/// any of its code runs: keep the id there. When `ready` throws, or this process dies in it, nothing runs. Throws
/// Error(FailedPrecondition, COMMAND_NOT_FOUND or PROCESS), Error(ResourceExhausted).
inline ProcessId spawnProcess(SpawnOptions options, const std::function<void(const ProcessId &)> &ready = {}) {
  if (options.argv.empty()) {
    throw Error(Status::FailedPrecondition, "there is no command to run: give the spec one", "COMMAND_NOT_FOUND");
  }
  options.env.emplace("PATH", "/usr/local/bin:/usr/bin:/bin");
  const std::string file = process::findProgram(options.argv.front(), options.env["PATH"]);
  std::vector<std::string> assignments;
  for (const auto &[key, value] : options.env)
    assignments.push_back(key + "=" + value);
  std::vector<char *> argv, env;
  for (std::string &word : options.argv)
    argv.push_back(word.data());
  for (std::string &assignment : assignments)
    env.push_back(assignment.data());
  argv.push_back(nullptr);
  env.push_back(nullptr);

  process::Pipes pipes(options.outputFile);
  const pid_t pid = ::fork();
  if (pid < 0) throw process::failed("no process can be started");
  if (pid == 0) process::runChild(pipes, options, file.c_str(), argv.data(), env.data());
  pipes.failureWrite.reset();
  const std::optional<process::Stat> stat = process::readStat(pid);
  const ProcessId id{pid, stat ? stat->startTime : 0, process::bootId()};
  const auto collect = [&]() noexcept {
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  };
  try {
    if (!stat) throw Error(Status::FailedPrecondition, "/proc does not show the new process: mount it", "PROCESS");
    if (ready) ready(id);
  } catch (...) {
    pipes.gateWrite.reset(); // the child reads the end of the file and leaves
    collect();
    throw;
  }
  const char go = 1;
  [[maybe_unused]] const auto opened = ::write(pipes.gateWrite.get(), &go, 1);
  int code = 0;
  ssize_t got = 0;
  do {
    got = ::read(pipes.failureRead.get(), &code, sizeof code);
  } while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof code)) return id;
  collect();
  errno = code;
  throw process::failed("the program " + file + " cannot be run in " + options.directory);
}

inline bool isProcessAlive(const ProcessId &id) {
  const std::optional<process::Stat> stat = process::statOf(id);
  return stat && !stat->isDead();
}

/// Readable once the process is dead; the caller's to close. -1 when it is dead already.
inline int processDeathFd(const ProcessId &id) noexcept {
  return process::open(id).release();
}

/// SIGTERM to the whole session, SIGKILL after `grace`; returns once nothing of the session lives. Gone already is
/// fine. With `spareLeader` the leader gets no SIGTERM: it is a wrapper that ends with what it wraps. Throws when the
/// call is over first.
inline void endProcess(const Call &call, const ProcessId &id, std::chrono::milliseconds grace,
                       bool spareLeader = false) {
  if (grace.count() > 0 && process::statOf(id)) {
    process::signalSession(id, SIGTERM, spareLeader);
    process::waitForEnd(call, id, grace);
  }
  // Members that the leader left behind, and what they start while they are being killed.
  while (process::signalSession(id, SIGKILL) > 0) {
    call.throwIfDone();
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
}

} // namespace v1
} // namespace matrixos
