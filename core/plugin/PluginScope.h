#pragma once

#include "common/SignalStack.h"

#include <atomic>
#include <string>

namespace matrixos::plugin {

/// Names a plugin to those who may neither allocate nor lock: the crash handler. Never freed.
struct PluginTag {
  char id[49];
  char version[33];
};

/// Marks the current thread as being inside a plugin's code while it lives: set wherever the host calls a plugin, read
/// by the crash handler. Costs a few nanoseconds; the first one on a thread also gives it a stack for signals, so that
/// a plugin that overflows the thread's own stack can be named. They nest.
class PluginScope {
public:
  /// `what`: static text such as "start()".
  PluginScope(const PluginTag *plugin, const char *what) noexcept : before_(where_) {
    common::ensureSignalStack();
    where_.what = what;
    // A signal comes between any two instructions: the handler sees either plugin, and never a text without a plugin.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    where_.plugin = plugin;
  }
  ~PluginScope() {
    where_.plugin = before_.plugin;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    where_.what = before_.what;
  }
  PluginScope(const PluginScope &) = delete;
  PluginScope &operator=(const PluginScope &) = delete;

  struct Where {
    const PluginTag *plugin = nullptr;
    const char *what = nullptr;
  };
  /// Of the current thread; async-signal-safe. No plugin when the thread is in none.
  static Where here() noexcept { return where_; }

  /// The tag of this id and version; the same one for the same pair.
  static const PluginTag *tagOf(const std::string &id, const std::string &version);
  /// The latest tag made for the id; one without a version when there is none.
  static const PluginTag *tagOf(const std::string &id);

private:
  static constinit thread_local Where where_;

  const Where before_;
};

} // namespace matrixos::plugin
