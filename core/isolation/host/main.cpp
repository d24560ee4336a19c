// matrixos-plugin-host: carries one plugin for matrixosd in a process of its own.
//
//   matrixos-plugin-host --describe FILE [--fd=N] [--nobody]
//                                                   prints what the plugin says of itself, as JSON; its code is
//                                                   confined meanwhile, and with --nobody has not even root's rights
//   matrixos-plugin-host --check FILE --fd=3 [--user=UID]
//                                                   started by matrixosd: descriptor 4 holds the plugin's section, and
//                                                   it prints what the plugin finds wrong with it; confined as well
//   matrixos-plugin-host --run ID --parent=PID      started by matrixosd: descriptor 3 is a socket to it, 4 the
//                                                   plugin's file, 5 takes a note when the plugin crashes
#include "common/CoreDumps.h"
#include "isolation/PluginDescription.h"
#include "isolation/host/Confinement.h"
#include "isolation/host/CrashReporter.h"
#include "isolation/host/DaemonLink.h"
#include "isolation/host/PluginCalls.h"
#include "isolation/host/PluginLibrary.h"
#include "isolation/host/SectionHost.h"

#include <matrixos/file_descriptor.hpp>
#include <matrixos/json.hpp>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

namespace {

using namespace matrixos;
using namespace matrixos::isolation;
using namespace matrixos::isolation::host;

constexpr int kSocketFd = 3, kFileFd = 4, kNoteFd = 5;
constexpr int kSectionFd = 4;

int usage() {
  std::cerr
      << "matrixos-plugin-host carries a plugin for matrixosd, which starts it by itself where the plugin's section "
         "says isolation=process.\n"
         "  matrixos-plugin-host --describe FILE    what a plugin says of itself, as JSON\n";
  return EX_USAGE;
}

/// The value of --name=…, or -1.
long option(const std::vector<std::string> &words, const std::string &name) {
  for (const std::string &word : words) {
    if (word.rfind(name + "=", 0) == 0) return std::strtol(word.c_str() + name.size() + 1, nullptr, 10);
  }
  return -1;
}

void limit(__rlimit_resource what, rlim_t most) {
  rlimit now{};
  if (::getrlimit(what, &now) != 0) return;
  now.rlim_cur = std::min(most, now.rlim_max);
  ::setrlimit(what, &now); // where that is forbidden, the daemon's own limits hold
}

/// Only to say what it is: a plugin needs little for that, and a broken one takes what it gets.
void limitDescribing() {
  limit(RLIMIT_CPU, 10);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  limit(RLIMIT_AS, rlim_t{1} << 30U);
#endif
}

void replaceAll(std::string &text, const std::string &from, const std::string &to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

/// Loads the file, confined, and prints what `ask` makes of its descriptor, or {"error": …}.
template <typename Ask>
int examine(const std::string &file, int fd, bool needed, const std::function<void()> &becomeLess, Ask &&ask) {
  if (fd >= 0) ::prctl(PR_SET_PDEATHSIG, SIGKILL); // asked by the daemon: one that hangs does not outlive it
  // What the plugin's constructors print is no part of the answer.
  if (fd < 0) fd = ::dup(STDOUT_FILENO);
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
  limitDescribing();
  // What the file's constructors do to this process is told by its end; an instrumented build would report it as ours.
  for (const int crash : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT})
    ::signal(crash, SIG_DFL);
  std::string answer, opened = file;
  int code = EX_OK;
  try {
    if (becomeLess && ::geteuid() == 0) {
      opened = copyToMemory(file); // what they may not read
      becomeLess();
    }
    confine(needed);
    answer = ask(loadPlugin(opened));
  } catch (const std::exception &e) {
    std::string why = e.what();
    replaceAll(why, opened, file);
    json::Object::Ptr object = json::object({{"error", why}});
    answer = json::dump(object);
    code = EX_DATAERR;
  }
  static_cast<void>(writeAll(fd, answer + "\n")); // whoever asked may have gone
  ::_exit(code);                                  // not through the plugin's destructors
}

int describe(const std::string &file, int fd, bool asNobody) {
  return examine(file, fd, asNobody, asNobody ? becomeNobody : std::function<void()>(),
                 [](const mos_descriptor_v1 *descriptor) { return PluginDescription::toJson(descriptor); });
}

int check(const std::string &file, int fd, long user) {
  std::string section;
  std::array<char, 16384> buffer{};
  const FileDescriptor from(kSectionFd);
  for (ssize_t got = 0; (got = ::read(from.get(), buffer.data(), buffer.size())) > 0;)
    section.append(buffer.data(), static_cast<std::size_t>(got));
  const auto becomeThem = [user] { becomeUser(static_cast<uid_t>(user)); };
  return examine(file, fd, false, user >= 0 ? becomeThem : std::function<void()>(),
                 [&](const mos_descriptor_v1 *descriptor) { return checkSection(descriptor, section); });
}

int run(const std::string &id, long parent) {
  // Both tie this process to the daemon: the signal is at once, the connection's end covers the moment before prctl.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) return EX_UNAVAILABLE;
  ::signal(SIGPIPE, SIG_IGN); // the daemon blocks it, so that plugins may write to whom has gone
  CrashReporter::install(kNoteFd);
  DaemonLink link{FileDescriptor(kSocketFd)};
  PluginCalls calls(link, "/proc/self/fd/" + std::to_string(kFileFd), id);
  bool greeted = false;
  try {
    link.run([&](FrameType type, std::string_view payload) {
      if (type != FrameType::Hello) return greeted ? calls.onFrame(type, payload) : refuseFrame("no greeting");
      const auto hello = decode<HelloFrame>(payload);
      if (hello.magic != kHelloMagic) refuseFrame("a wrong greeting");
      greeted = true;
      HelloFrame own;
      own.abiMajor = MOS_ABI_MAJOR;
      own.hostMinor = MOS_HOST_MINOR;
      link.sendIfRoom(own);
    });
  } catch (const std::exception &e) {
    std::cerr << "matrixos-plugin-host " << id << ": " << e.what() << std::endl;
    ::_exit(EX_PROTOCOL);
  }
  // The daemon has ended the connection, or has died. Whatever of the plugin still runs ends here.
  ::_exit(EX_OK);
}

} // namespace

int main(int argc, char **argv) {
  matrixos::common::forbidCoreDumps();
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() >= 2 && words[0] == "--describe") {
    const bool asNobody = std::find(words.begin(), words.end(), "--nobody") != words.end();
    return describe(words[1], static_cast<int>(option(words, "--fd")), asNobody);
  }
  if (words.size() >= 2 && words[0] == "--check")
    return check(words[1], static_cast<int>(option(words, "--fd")), option(words, "--user"));
  if (words.size() >= 3 && words[0] == "--run") return run(words[1], option(words, "--parent"));
  return usage();
}
