#include "plugin/PluginMark.h"

#include <signal.h>
#include <sys/mman.h>

#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

namespace matrixos::plugin {

namespace {

thread_local PluginMark::Where where;

/// A stack for signal handlers, given to a thread when it first enters a plugin.
class SignalStack {
public:
  SignalStack() noexcept {
    stack_t present{};
    if (::sigaltstack(nullptr, &present) != 0 || (present.ss_flags & SS_DISABLE) == 0) return; // a sanitizer's
    void *memory = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return;
    stack_t mine{};
    mine.ss_sp = memory;
    mine.ss_size = kSize;
    if (::sigaltstack(&mine, nullptr) == 0)
      memory_ = memory;
    else
      ::munmap(memory, kSize);
  }
  ~SignalStack() {
    if (memory_ == nullptr) return;
    stack_t off{};
    off.ss_flags = SS_DISABLE;
    ::sigaltstack(&off, nullptr);
    ::munmap(memory_, kSize);
  }
  SignalStack(const SignalStack &) = delete;
  SignalStack &operator=(const SignalStack &) = delete;

private:
  // The kernel's frame takes up to some 11 KiB with AVX-512.
  static constexpr std::size_t kSize = 64 * 1024;
  void *memory_ = nullptr;
};

void ensureSignalStack() noexcept {
  thread_local const SignalStack stack;
  (void)stack;
}

template <std::size_t Size>
void copyInto(char (&to)[Size], const std::string &from) noexcept {
  std::strncpy(to, from.c_str(), Size - 1);
  to[Size - 1] = '\0';
}

/// Tags by id, the latest last, and by id and version.
struct Tags {
  std::mutex mutex;
  std::map<std::pair<std::string, std::string>, const PluginTag *> all;
  std::map<std::string, const PluginTag *> latest;
};

Tags &tags() {
  static auto *tags = new Tags;
  return *tags;
}

const PluginTag *intern(Tags &tags, const std::string &id, const std::string &version) {
  const PluginTag *&tag = tags.all[{id, version}];
  if (tag == nullptr) {
    auto *made = new PluginTag{};
    copyInto(made->id, id);
    copyInto(made->version, version);
    tag = made;
  }
  return tag;
}

} // namespace

PluginMark::PluginMark(const PluginTag *plugin, const char *what) noexcept : before_(where) {
  ensureSignalStack();
  where.what = what;
  // A signal comes between any two instructions: the handler sees either mark, and never a text without a plugin.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  where.plugin = plugin;
}

PluginMark::~PluginMark() {
  where.plugin = before_.plugin;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  where.what = before_.what;
}

PluginMark::Where PluginMark::here() noexcept {
  return where;
}

const PluginTag *PluginMark::tagOf(const std::string &id, const std::string &version) {
  Tags &known = tags();
  const std::lock_guard lock(known.mutex);
  return known.latest[id] = intern(known, id, version);
}

const PluginTag *PluginMark::tagOf(const std::string &id) {
  Tags &known = tags();
  const std::lock_guard lock(known.mutex);
  const auto at = known.latest.find(id);
  return at != known.latest.end() ? at->second : intern(known, id, "");
}

} // namespace matrixos::plugin
