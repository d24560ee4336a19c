#include "support/Process.h"

#include "support/TempDir.h"
#include "support/Wait.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

namespace matrixos::test {

namespace {

/// What the tests themselves are told through the environment must not configure the programs under test.
void forgetOurVariables() {
  std::vector<std::string> names;
  for (char **entry = environ; *entry != nullptr; ++entry) {
    const std::string pair = *entry;
    if (pair.rfind("MATRIXOS_", 0) == 0) names.push_back(pair.substr(0, pair.find('=')));
  }
  for (const std::string &name : names)
    ::unsetenv(name.c_str());
}

/// What programs keep for the next time lies with the build, not in the home of whoever runs the tests.
void keepCachesHere() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  ::setenv("XDG_CACHE_HOME", (program.parent_path().parent_path() / "cache").c_str(), 1);
}

pid_t spawn(const std::vector<std::string> &command, const std::filesystem::path &out,
            const std::filesystem::path &input, const std::vector<std::string> &environment) {
  std::vector<char *> arguments;
  for (const std::string &word : command)
    arguments.push_back(const_cast<char *>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) throw std::runtime_error("fork failed");
  if (pid > 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL); // a test that dies takes its programs along
  if (::getppid() != parent) ::_exit(127);
  const int in = ::open(input.c_str(), O_RDONLY);
  const int log = ::open(out.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(in, 0);
  ::dup2(log, 1);
  ::dup2(log, 2);
  forgetOurVariables();
  keepCachesHere();
  for (const std::string &pair : environment)
    ::putenv(const_cast<char *>(pair.c_str()));
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execvp(arguments[0], arguments.data());
  ::_exit(127);
}

int statusOf(int raw) {
  return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
}

} // namespace

Process::Process(const std::vector<std::string> &command, const std::filesystem::path &log,
                 const std::vector<std::string> &environment)
    : pid_(spawn(command, log, "/dev/null", environment)) {}

Process::~Process() {
  if (status_) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool Process::running() {
  if (status_) return false;
  int raw = 0;
  if (::waitpid(pid_, &raw, WNOHANG) == pid_) status_ = statusOf(raw);
  return !status_;
}

void Process::signal(int number) const {
  if (!status_) ::kill(pid_, number);
}

std::optional<int> Process::wait(std::chrono::milliseconds limit) {
  eventually([this] { return !running(); }, limit);
  return status_;
}

Finished run(const std::vector<std::string> &command, const std::string &input, std::chrono::milliseconds limit) {
  const TempDir dir;
  writeFile(dir / "in", input);
  writeFile(dir / "out", "");
  const pid_t pid = spawn(command, dir / "out", dir / "in", {});
  Finished finished;
  int raw = 0;
  const bool ended = eventually([&] { return ::waitpid(pid, &raw, WNOHANG) == pid; }, limit);
  if (!ended) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, &raw, 0);
  }
  finished.status = statusOf(raw);
  finished.out = readFile(dir / "out");
  return finished;
}

} // namespace matrixos::test
