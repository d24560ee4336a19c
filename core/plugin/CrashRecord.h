#pragma once

#include "plugin/PluginScope.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace matrixos::plugin {

/// How a run of the daemon ended, when nobody asked it to end.
struct CrashReport {
  std::string plugin;  ///< whose doing it was; empty: nothing points at a plugin
  std::string version; ///< of the plugin; may be empty
  std::string what;    ///< what the daemon was calling: "start()"; may be empty
  /// How the plugin was found: "code" (the instruction that failed is the plugin's), "call" (the thread was inside a
  /// call into it), "stack" (a return address on the thread's stack is the plugin's).
  std::string evidence;
  /// "start() of proxy": the lifecycle call in progress, whoever ended the process; no evidence against the plugin.
  std::string during;
  int signal = 0;            ///< 0: an exit was called, or nothing is known
  bool exited = false;       ///< exit(), _exit()
  std::uint64_t address = 0; ///< that could not be accessed, for SIGSEGV and SIGBUS
  int sender = 0;            ///< process that sent the signal; 0: it came from a fault; -1: one that cannot be named
  int pid = 0;
  bool served = false;   ///< the run came as far as serving
  bool stopping = false; ///< it had been told to end

  /// "SIGSEGV at address 0x0 in its route handler".
  std::string sentence() const;
};

/// What a crashed daemon leaves for the next one: which plugin it was in. A page of `<folder>/breadcrumb` is mapped, so
/// that what is written into it survives the process however it ends; a handler for fatal signals and for exits names
/// the plugin there and on standard error, and passes a signal on to whoever was there before, for core dumps and
/// sanitizers. A process that is killed, or loses its power, leaves no such note, and that is held against nobody.
/// One per process; the functions without a comment on threads may be called from any.
class CrashRecord {
public:
  /// Takes the file in the folder, which exists, for this process and gives what the last one left, if it crashed or
  /// vanished. Nothing, and no handler, when another process has the file. Throws Error when it cannot be made. Call it
  /// once, before any plugin is loaded.
  static std::optional<CrashReport> open(const std::filesystem::path &folder);
  /// All plugins were started: as far as they are concerned, this run went well.
  static void serving() noexcept;
  /// The daemon was told to end: from now on it may be killed without a word about it.
  static void stopping() noexcept;
  /// It has ended: what follows is no plugin's doing.
  static void close() noexcept;

  /// While it lives the page says that this lifecycle call is in progress, for the operator's information. One at a
  /// time; of nested ones the first counts. `what`: static text.
  class LifecycleCall {
  public:
    LifecycleCall(const PluginTag *plugin, const char *what) noexcept;
    ~LifecycleCall();
    LifecycleCall(const LifecycleCall &) = delete;
    LifecycleCall &operator=(const LifecycleCall &) = delete;

  private:
    bool first_ = false;
  };
};

} // namespace matrixos::plugin
