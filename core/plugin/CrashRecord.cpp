#include "plugin/CrashRecord.h"

#include "common/SystemError.h"
#include "plugin/CodeRanges.h"

#include <matrixos/file_descriptor.hpp>
#include <matrixos/status.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace matrixos::plugin {

namespace {

constexpr std::uint64_t kMagic = 0x32424d5243534f4d; // "MOSCRMB2"

enum : std::uint32_t { kNothing = 0, kWriting = 1, kSignal = 2, kExit = 3, kInside = 4 };

/// The file's content. Written by this process alone, partly by a signal handler; read by the next one, which trusts
/// nothing in it.
struct Page {
  std::uint64_t magic;
  std::uint32_t running;  ///< 1 from open() to close()
  std::uint32_t serving;  ///< 1 from serving() on
  std::uint32_t stopping; ///< 1 from stopping() on
  std::int32_t pid;

  std::atomic<std::uint32_t> inLifecycle; ///< kNothing, kWriting, kInside
  PluginTag lifecyclePlugin;
  char lifecycleWhat[32];

  std::atomic<std::uint32_t> crash; ///< kNothing, kWriting, kSignal, kExit
  std::int32_t signal;
  std::int32_t sender;
  std::uint64_t address;
  PluginTag plugin;
  char what[48];
  char evidence[16];
};
static_assert(sizeof(Page) < 4096 && std::atomic<std::uint32_t>::is_always_lock_free);

constexpr std::array kFatal{SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};

/// All that the signal handler touches: constant-initialised, never freed.
Page *page = nullptr;
std::atomic<bool> armed{false};
std::atomic<bool> crashing{false};
int memoryFd = -1; ///< /proc/self/mem: reads that cannot fault
std::array<struct sigaction, kFatal.size()> before;

// ------------------------------------------------------------------------------------- async-signal-safe from here on

template <std::size_t Size>
void copyText(char (&to)[Size], const char *from) noexcept {
  std::size_t i = 0;
  for (; from != nullptr && i < Size - 1 && from[i] != '\0'; ++i)
    to[i] = from[i];
  to[i] = '\0';
}

const char *signalName(int signal) noexcept {
  switch (signal) {
  case SIGSEGV:
    return "SIGSEGV";
  case SIGBUS:
    return "SIGBUS";
  case SIGILL:
    return "SIGILL";
  case SIGFPE:
    return "SIGFPE";
  case SIGABRT:
    return "SIGABRT";
  case SIGTRAP:
    return "SIGTRAP";
  case SIGSYS:
    return "SIGSYS";
  default:
    return "a signal";
  }
}

struct Registers {
  std::uintptr_t instruction = 0;
  std::uintptr_t stack = 0;
};

Registers registersOf(const void *context) noexcept {
  const auto *machine = &static_cast<const ucontext_t *>(context)->uc_mcontext;
#if defined(__x86_64__)
  return {static_cast<std::uintptr_t>(machine->gregs[REG_RIP]), static_cast<std::uintptr_t>(machine->gregs[REG_RSP])};
#elif defined(__aarch64__)
  return {static_cast<std::uintptr_t>(machine->pc), static_cast<std::uintptr_t>(machine->sp)};
#else
  (void)machine;
  return {};
#endif
}

/// The innermost return address, or what looks like one, that is a plugin's.
const PluginTag *searchStack(std::uintptr_t from) noexcept {
  constexpr std::size_t kDepth = 64 * 1024;
  std::array<std::uintptr_t, 128> words;
  for (std::uintptr_t at = from & ~std::uintptr_t{7}; at < from + kDepth; at += sizeof words) {
    const ssize_t got = ::pread(memoryFd, words.data(), sizeof words, static_cast<off_t>(at));
    if (got <= 0) return nullptr;
    for (std::size_t i = 0; i < static_cast<std::size_t>(got) / sizeof(std::uintptr_t); ++i) {
      if (const PluginTag *plugin = CodeRanges::find(words[i])) return plugin;
    }
  }
  return nullptr;
}

void write(const char *text) noexcept {
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text, std::strlen(text));
}

void noteCulprit(const PluginTag *plugin, const char *evidence) noexcept {
  const PluginScope::Where where = PluginScope::here();
  const bool inside = where.plugin != nullptr && std::strcmp(where.plugin->id, plugin->id) == 0;
  page->plugin = inside ? *where.plugin : *plugin;
  copyText(page->what, inside ? where.what : "a thread of its own");
  copyText(page->evidence, evidence);
}

void findCulprit(const Registers &registers) noexcept {
  if (const PluginTag *plugin = CodeRanges::find(registers.instruction)) return noteCulprit(plugin, "code");
  if (const PluginTag *plugin = PluginScope::here().plugin) return noteCulprit(plugin, "call");
  if (registers.stack == 0 || memoryFd < 0) return;
  if (const PluginTag *plugin = searchStack(registers.stack)) noteCulprit(plugin, "stack");
}

void announce(const char *how) noexcept {
  write("matrixosd: ");
  if (page->plugin.id[0] != '\0') {
    write("the plugin ");
    write(page->plugin.id);
    write(" brings the daemon down: ");
  }
  write(how);
  if (page->what[0] != '\0') {
    write(" in ");
    write(page->what);
  }
  write("\n");
}

/// Not after close(), and not in a child that a plugin forked.
bool mine() noexcept {
  return armed && page->pid == ::getpid();
}

void record(int signal, const siginfo_t *info, const void *context) noexcept {
  page->crash = kWriting;
  page->signal = signal;
  const bool sent = info->si_code <= 0;
  // A process outside of this one's PID namespace is 0 there.
  const bool foreign = sent && info->si_pid != ::getpid();
  page->sender = !foreign ? 0 : info->si_pid != 0 ? info->si_pid : -1;
  const bool hasAddress = !sent && (signal == SIGSEGV || signal == SIGBUS);
  page->address = hasAddress ? reinterpret_cast<std::uint64_t>(info->si_addr) : 0;
  const bool brokenMemory = signal == SIGBUS && (info->si_code == BUS_MCEERR_AR || info->si_code == BUS_MCEERR_AO);
  // What another process or the machine did is no plugin's doing, wherever the signal found the daemon.
  if (!foreign && !brokenMemory) findCulprit(registersOf(context));
  page->crash = kSignal;
  announce(signalName(signal));
}

void onFatalSignal(int signal, siginfo_t *info, void *context) {
  const int saved = errno;
  if (!mine()) {
    // Nothing to note.
  } else if (!crashing.exchange(true)) {
    record(signal, info, context);
  } else {
    // Another thread crashes, too: its note comes first.
    const timespec nap{0, 10'000'000};
    for (int i = 0; i < 100 && page->crash == kWriting; ++i)
      ::nanosleep(&nap, nullptr);
  }
  for (std::size_t i = 0; i < kFatal.size(); ++i) {
    if (kFatal[i] == signal) ::sigaction(signal, &before[i], nullptr);
  }
  // A fault comes again when the handler returns, now to whoever was there before. What was sent is sent again, and
  // what the next instruction would leave behind.
  const bool passes = info->si_code <= 0 || signal == SIGTRAP || signal == SIGSYS;
  if (passes) ::syscall(SYS_tgkill, ::getpid(), ::syscall(SYS_gettid), signal);
  errno = saved;
}

/// An exit by anybody but the daemon itself. The plugin, if it was one, is on the stack of this thread.
void noteExit(const char *how) noexcept {
  if (!mine() || crashing.exchange(true)) return;
  page->crash = kWriting;
  page->signal = 0;
  page->sender = 0;
  page->address = 0;
  findCulprit({0, reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0))});
  page->crash = kExit;
  announce(how);
}

void onExit() {
  noteExit("exit()");
}

[[noreturn]] void exitAtOnce(int status) noexcept {
  noteExit("_exit()");
  for (;;)
    ::syscall(SYS_exit_group, status);
}

// ------------------------------------------------------------------------------------------------------ ordinary code

std::string textOf(const char *text, std::size_t size) {
  return std::string(text, ::strnlen(text, size));
}

/// What the last process left; it may have been written by anybody, in any state.
std::optional<CrashReport> readPage(int fd) {
  Page last;
  std::memset(static_cast<void *>(&last), 0, sizeof last);
  if (::pread(fd, static_cast<void *>(&last), sizeof last, 0) != static_cast<ssize_t>(sizeof last)) return std::nullopt;
  if (last.magic != kMagic || last.running == 0) return std::nullopt;
  CrashReport report;
  report.pid = last.pid;
  report.served = last.serving != 0;
  report.stopping = last.stopping != 0;
  if (last.inLifecycle == kInside) {
    report.during = textOf(last.lifecycleWhat, sizeof last.lifecycleWhat) + " of " +
                    textOf(last.lifecyclePlugin.id, sizeof last.lifecyclePlugin.id);
  }
  // A note that was not finished is none.
  const std::uint32_t crash = last.crash;
  if (crash != kSignal && crash != kExit) return report;
  report.signal = last.signal;
  report.exited = crash == kExit;
  report.address = last.address;
  report.sender = last.sender;
  report.evidence = textOf(last.evidence, sizeof last.evidence);
  if (report.evidence.empty()) return report;
  report.plugin = textOf(last.plugin.id, sizeof last.plugin.id);
  report.version = textOf(last.plugin.version, sizeof last.plugin.version);
  report.what = textOf(last.what, sizeof last.what);
  return report;
}

/// What may not be dumped belongs to root in /proc, and only for this moment to its user.
int openMemory() {
  const int dumpable = ::prctl(PR_GET_DUMPABLE);
  ::prctl(PR_SET_DUMPABLE, 1);
  const int fd = ::open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  ::prctl(PR_SET_DUMPABLE, dumpable == 1 ? 1 : 0);
  return fd;
}

void installHandlers() {
  struct sigaction action {};
  action.sa_sigaction = &onFatalSignal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < kFatal.size(); ++i)
    ::sigaction(kFatal[i], &action, &before[i]);
  std::atexit(&onExit);
  ::at_quick_exit(&onExit);
}

std::string hex(std::uint64_t number) {
  std::array<char, 20> text{};
  std::snprintf(text.data(), text.size(), "0x%llx", static_cast<unsigned long long>(number));
  return text.data();
}

} // namespace

std::string CrashReport::sentence() const {
  if (signal == 0 && !exited) {
    return "the daemon vanished" + (during.empty() ? "" : " during " + during) +
           " without a word (kill -9, out of memory or power loss)";
  }
  std::string text = exited ? "exit() was called" : signalName(signal);
  if (sender > 0) return text + ", sent by process " + std::to_string(sender);
  if (sender < 0) return text + ", sent by a process of another PID namespace";
  if (signal == SIGSEGV || signal == SIGBUS) text += " at address " + hex(address);
  if (!what.empty()) text += " in " + what;
  return text;
}

std::optional<CrashReport> CrashRecord::open(const std::filesystem::path &folder) {
  if (armed) return std::nullopt;
  const std::string file = (folder / "breadcrumb").string();
  FileDescriptor fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) common::throwErrno(errno, "opening " + file);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return std::nullopt;
  std::optional<CrashReport> last = readPage(fd.get());
  // Blocks are taken now: a full disk would turn the handler's first write into a SIGBUS.
  if (const int error = ::posix_fallocate(fd.get(), 0, 4096)) common::throwErrno(error, "writing " + file);
  void *memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) common::throwErrno(errno, "mapping " + file);
  std::memset(memory, 0, 4096);
  page = static_cast<Page *>(memory);
  page->pid = ::getpid();
  page->running = 1;
  page->magic = kMagic;
  // What the last run left is counted once: after a power loss the disk must not show it again.
  if (::msync(memory, 4096, MS_SYNC) != 0) common::throwErrno(errno, "writing " + file);
  memoryFd = openMemory();
  static_cast<void>(fd.release()); // kept, with its lock, until the process ends
  armed = true;
  installHandlers();
  return last;
}

void CrashRecord::serving() noexcept {
  if (armed) page->serving = 1;
}

void CrashRecord::stopping() noexcept {
  if (armed) page->stopping = 1;
}

void CrashRecord::close() noexcept {
  if (!armed.exchange(false)) return;
  page->running = 0;
}

CrashRecord::LifecycleCall::LifecycleCall(const PluginTag *plugin, const char *what) noexcept {
  if (!armed) return;
  std::uint32_t none = kNothing;
  first_ = page->inLifecycle.compare_exchange_strong(none, kWriting);
  if (!first_) return;
  page->lifecyclePlugin = *plugin;
  copyText(page->lifecycleWhat, what);
  page->inLifecycle = kInside;
}

CrashRecord::LifecycleCall::~LifecycleCall() {
  if (first_) page->inLifecycle = kNothing;
}

} // namespace matrixos::plugin

// In place of the C library's, for all code in the process but its own: _exit() runs no handlers, and would otherwise
// look like a kill, which is nobody's doing.
#pragma GCC visibility push(default)
extern "C" {
[[noreturn, gnu::used]] void _exit(int status) {
  matrixos::plugin::exitAtOnce(status);
}
[[noreturn, gnu::used]] void _Exit(int status) noexcept {
  matrixos::plugin::exitAtOnce(status);
}
}
#pragma GCC visibility pop
