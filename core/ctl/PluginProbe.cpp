#include "ctl/PluginProbe.h"

#include "plugin/ManifestJson.h"

#include <matrixos/file_descriptor.hpp>

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace matrixos::ctl {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxAnswer = 4U << 20U;

// ------------------------------------------------------------------------------------------------------ the child

bool isIn(const std::string &runPath, const fs::path &home, const std::string &library) {
  for (std::size_t at = 0; at < runPath.size();) {
    const std::size_t end = std::min(runPath.find(':', at), runPath.size());
    std::string folder = runPath.substr(at, end - at);
    if (folder.rfind("$ORIGIN", 0) == 0) folder.replace(0, 7, home.string());
    std::error_code error;
    if (fs::exists(fs::path(folder) / library, error)) return true;
    at = end + 1;
  }
  return false;
}

/// The loader gives up at the first library it does not find; this names them all.
json::Array::Ptr missingLibraries(const plugin::FileFacts &facts, const plugin::ElfFile &elf) {
  json::Array::Ptr missing = new json::Array;
  for (const std::string &library : elf.needed) {
    // $ORIGIN counts from the copy that the daemon runs.
    if (isIn(elf.runPath, facts.copy.parent_path(), library)) continue;
    if (::dlopen(library.c_str(), RTLD_LAZY | RTLD_LOCAL) != nullptr) continue;
    const char *why = ::dlerror();
    missing->add(std::string(why != nullptr ? why : library));
  }
  return missing;
}

void tell(int fd, const json::Object &object) {
  const std::string line = json::dump(object) + "\n";
  for (std::size_t at = 0; at < line.size();) {
    const ssize_t put = ::write(fd, line.data() + at, line.size() - at);
    if (put <= 0) return;
    at += static_cast<std::size_t>(put);
  }
}

/// What it prints is nobody's business, and what it starts ends with it.
void retreat(pid_t parent) {
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  const int null = ::open("/dev/null", O_RDWR);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    ::dup2(null, fd);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
}

[[noreturn]] void probeHere(int out, const plugin::FileFacts &facts, const plugin::ElfFile &elf,
                            const std::string &id) {
  json::Object libraries, answer;
  libraries.set("missing", missingLibraries(facts, elf));
  tell(out, libraries);
  try {
    answer.set("manifest", plugin::toJson(plugin::Manifest::read(plugin::loadPluginCopy(facts, elf), id)));
  } catch (const std::exception &e) {
    answer.set("problem", std::string(e.what()));
  }
  tell(out, answer);
  // Neither its destructors nor ours: what is to be known is known.
  ::_exit(0);
}

// ----------------------------------------------------------------------------------------------------- the parent

/// All that the child writes; false when it was not done in time.
bool readAnswer(int in, Clock::time_point end, std::string &answer) {
  std::array<char, 65536> buffer{};
  while (answer.size() < kMaxAnswer) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    pollfd waiting{in, POLLIN, 0};
    const int ready = left > 0 ? ::poll(&waiting, 1, static_cast<int>(left)) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    const ssize_t got = ::read(in, buffer.data(), buffer.size());
    if (got <= 0) return true;
    answer.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return true;
}

void readLine(const std::string &line, ProbedPlugin &probed) {
  const json::Object::Ptr object = json::parseObject(line);
  if (const auto manifest = object->getObject("manifest")) probed.manifest = plugin::manifestFromJson(*manifest);
  probed.problem = object->optValue<std::string>("problem", {});
  const auto missing = object->getArray("missing");
  for (unsigned i = 0; missing && i < missing->size(); ++i)
    probed.missing.push_back(missing->getElement<std::string>(i));
}

} // namespace

ProbedPlugin probePlugin(const plugin::FileFacts &facts, const plugin::ElfFile &elf, const std::string &id,
                         std::chrono::milliseconds patience) {
  ProbedPlugin probed;
  std::array<int, 2> ends{};
  const pid_t parent = ::getpid();
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe can be made");
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    retreat(parent);
    probeHere(ends[1], facts, elf, id);
  }
  const FileDescriptor in(ends[0]);
  ::close(ends[1]);
  if (child < 0) throw std::runtime_error("no process can be made to look at the plugin in");
  std::string answer;
  const bool inTime = readAnswer(in.get(), Clock::now() + patience, answer);
  ::kill(-child, SIGKILL); // the session that it leads
  ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  try {
    for (std::size_t at = 0, end = 0; (end = answer.find('\n', at)) != std::string::npos; at = end + 1)
      readLine(answer.substr(at, end - at), probed);
  } catch (const std::exception &e) {
    probed.problem = std::string("its code spoiled the answer: ") + e.what();
  }
  if (probed.manifest || !probed.problem.empty()) return probed;
  probed.crashed = true;
  if (!inTime) {
    probed.problem = "its code did not return within " + std::to_string(patience.count() / 1000) +
                     " s while it was loaded (a constructor, or the entry function)";
  } else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
    probed.problem = "its code crashed while it was loaded: " + std::string(::strsignal(WTERMSIG(status))) +
                     " (a constructor, or the entry function)";
  } else {
    probed.problem = "its code ended the process while it was loaded (a constructor, or the entry function)";
  }
  return probed;
}

} // namespace matrixos::ctl
