/// This test program again, as another process that runs one of its test cases. Such cases are skipped otherwise.
#pragma once

#include <matrixos/file_descriptor.hpp>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <vector>

extern char **environ; // NOLINT: environ(7) asks the program to declare it

namespace matrixos::test {

class ChildProcess {
public:
  /// The child finds `argument` in the environment as MATRIXOS_TEST_ARGUMENT and what it prints ends up in readLine().
  /// failpoint: where it dies, see matrixos/failpoint.hpp; may be empty.
  ChildProcess(const std::string &testCase, const std::string &argument, const std::string &failpoint = {}) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
    output_.reset(ends[0]);
    const FileDescriptor input(ends[1]);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, input.get(), STDOUT_FILENO);
    std::string name = "--test-case=" + testCase;
    std::string self = "/proc/self/exe";
    std::string noSkip = "--no-skip";
    std::string killer = "MATRIXOS_FAILPOINT=" + failpoint;
    std::string variable = "MATRIXOS_TEST_ARGUMENT=" + argument;
    std::vector<char *> arguments{self.data(), name.data(), noSkip.data(), nullptr};
    std::vector<char *> variables;
    for (char **entry = environ; *entry != nullptr; ++entry)
      variables.push_back(*entry);
    variables.push_back(variable.data());
    variables.push_back(killer.data());
    variables.push_back(nullptr);
    const int error = ::posix_spawn(&pid_, self.c_str(), &actions, nullptr, arguments.data(), variables.data());
    ::posix_spawn_file_actions_destroy(&actions);
    if (error != 0) throw std::runtime_error("posix_spawn failed");
  }
  ~ChildProcess() {
    if (pid_ > 0) kill();
  }
  ChildProcess(const ChildProcess &) = delete;
  ChildProcess &operator=(const ChildProcess &) = delete;

  pid_t pid() const { return pid_; }

  /// Up to the next newline; false at the end of the output.
  bool readLine(std::string &line) {
    line.clear();
    for (;;) {
      char c = 0;
      const ssize_t got = ::read(output_.get(), &c, 1);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      if (c == '\n') return true;
      line.push_back(c);
    }
  }
  /// The first line that begins so; false when there is none.
  bool readUntil(const std::string &beginning, std::string &line) {
    while (readLine(line)) {
      if (line.rfind(beginning, 0) == 0) return true;
    }
    return false;
  }

  void kill() {
    ::kill(pid_, SIGKILL);
    wait();
  }
  /// The exit code, or -1 after a signal.
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

private:
  pid_t pid_ = -1;
  FileDescriptor output_;
};

/// In the child: what the parent passed.
inline std::string childArgument() {
  const char *value = ::getenv("MATRIXOS_TEST_ARGUMENT");
  return value != nullptr ? value : "";
}

/// In the child: a line for the parent, whole even when several threads say something.
inline void say(const std::string &line) {
  const std::string text = line + "\n";
  if (::write(STDOUT_FILENO, text.data(), text.size()) < 0) ::_exit(3);
}

} // namespace matrixos::test
