#include "plugin/PluginThreads.h"

#include "plugin/CodeRanges.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

namespace matrixos::plugin {

PluginThreads &PluginThreads::instance() {
  static auto *threads = new PluginThreads;
  return *threads;
}

std::size_t PluginThreads::leave(const std::string &plugin, std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  Life &life = lives_[plugin];
  ended_.wait_for(lock, patience, [&] { return life.running == 0; });
  ++life.number;
  life.left += life.running;
  return std::exchange(life.running, 0);
}

std::string PluginThreads::leftBehind(const std::string &plugin) const {
  const std::lock_guard lock(mutex_);
  const auto at = lives_.find(plugin);
  if (at == lives_.end() || at->second.left == 0) return {};
  return threadsThatRunOn(at->second.left) + ", which only a restart of the daemon ends; tell its author";
}

PluginThreads::Run::Run(std::string plugin)
    : plugin_(std::move(plugin)), life_([this] {
        PluginThreads &all = instance();
        const std::lock_guard lock(all.mutex_);
        Life &life = all.lives_[plugin_];
        ++life.running;
        return life.number;
      }()) {}

PluginThreads::Run::~Run() {
  PluginThreads &all = instance();
  const std::lock_guard lock(all.mutex_);
  Life &life = all.lives_.at(plugin_);
  --(life.number == life_ ? life.running : life.left);
  all.ended_.notify_all();
}

std::string threadsThatRunOn(std::size_t count) {
  return std::to_string(count) + (count == 1 ? " thread that it made runs" : " threads that it made run") +
         " on after it was stopped";
}

namespace {

using Routine = void *(*)(void *);

struct Start {
  Start(std::string plugin, Routine does, void *with) : run(std::move(plugin)), routine(does), argument(with) {}
  const PluginThreads::Run run;
  const Routine routine;
  void *const argument;
};

void *begin(void *start) {
  const std::unique_ptr<Start> own(static_cast<Start *>(start)); // also when the thread is cancelled
  return own->routine(own->argument);
}

/// In the program or library that this code is in.
bool isHosts(std::uintptr_t address) {
  Dl_info own{}, other{};
  return ::dladdr(reinterpret_cast<const void *>(&isHosts), &own) != 0 &&
         ::dladdr(reinterpret_cast<const void *>(address), &other) != 0 &&
         own.dli_fbase == other.dli_fbase; // NOLINT(performance-no-int-to-ptr)
}

/// Whose code makes a thread; null when it is no plugin's. `caller`: who called pthread_create(), which may be a
/// library.
const PluginTag *makerOf(std::uintptr_t caller) {
  if (isHosts(caller)) return nullptr;
  if (const PluginTag *plugin = CodeRanges::find(caller)) return plugin;
  std::array<void *, 24> frames{};
  const int count = ::backtrace(frames.data(), static_cast<int>(frames.size()));
  bool below = true; // of the caller: our own
  for (int i = 0; i < count; ++i) {
    const auto address = reinterpret_cast<std::uintptr_t>(frames.at(static_cast<std::size_t>(i)));
    if (std::exchange(below, below && address != caller)) continue;
    if (isHosts(address)) return nullptr;
    if (const PluginTag *plugin = CodeRanges::find(address)) return plugin;
  }
  return nullptr;
}

int createThread(pthread_t *thread, const pthread_attr_t *attributes, Routine routine, void *argument,
                 std::uintptr_t caller) {
  using Create = int (*)(pthread_t *, const pthread_attr_t *, Routine, void *);
  static const auto create = reinterpret_cast<Create>(::dlsym(RTLD_NEXT, "pthread_create"));
  const PluginTag *maker = makerOf(caller);
  if (maker == nullptr) return create(thread, attributes, routine, argument);
  try {
    auto start = std::make_unique<Start>(maker->id, routine, argument);
    const int failed = create(thread, attributes, &begin, start.get());
    if (failed == 0) static_cast<void>(start.release());
    return failed;
  } catch (const std::bad_alloc &) {
    return EAGAIN;
  }
}

} // namespace

} // namespace matrixos::plugin

#ifdef __clang__
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define KEEP_PTHREAD_CREATE // of the sanitizer, which is part of the program
#endif
#endif
#ifndef KEEP_PTHREAD_CREATE
// In place of the C library's, for all code in the process.
#pragma GCC visibility push(default)
extern "C" [[gnu::used, gnu::noinline]] int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                                                           void *(*routine)(void *), void *argument) noexcept {
  return matrixos::plugin::createThread(thread, attributes, routine, argument,
                                        reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)));
}
#pragma GCC visibility pop
#endif
