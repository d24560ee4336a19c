#include "ProcessRuntime.h"

#include "Program.h"

#include <matrixos/host_ports.hpp>

#include <unistd.h>

namespace matrixos::processes {

namespace {

constexpr const char *kCgroupMount = "/sys/fs/cgroup";

ManagedOptions managedOptions(const Settings &settings, std::function<void(const std::string &)> warn) {
  ManagedOptions options;
  options.stateDir = settings.stateDir;
  options.warn = std::move(warn);
  options.volumes = {settings.volumeRoots, settings.user, true};
  return options;
}

ProcessId idOf(const Instance &instance) {
  return ProcessId::parse(instance.token);
}

/// What the session's living members use; what ended is not counted.
Usage sessionUsage(const ProcessId &leader) {
  const std::int64_t nanosPerTick = 1'000'000'000 / ::sysconf(_SC_CLK_TCK);
  const std::int64_t pageSize = ::sysconf(_SC_PAGESIZE);
  Usage usage;
  process::eachMember(leader, [&](const ProcessId &, const process::Stat &stat) {
    usage.cpuNanos += static_cast<std::int64_t>(stat.userTicks + stat.systemTicks) * nanosPerTick;
    usage.memoryBytes += stat.residentPages * pageSize;
    ++usage.pids;
  });
  return usage;
}

} // namespace

ProcessRuntime::ProcessRuntime(const Settings &settings, std::function<void(const std::string &)> warn)
    : ManagedRuntime(managedOptions(settings, std::move(warn))), settings_(settings), sandbox_(settings),
      cgroups_(settings.cgroups == "none" ? Cgroups() : Cgroups(kCgroupMount, "matrixos-" + settings.installId)) {}

std::string ProcessRuntime::isolationNote() const {
  if (sandbox_.works()) {
    return "bubblewrap: read-only system, own process ids and /tmp; network and kernel are shared. For development and "
           "single-tenant hosts";
  }
  return "none between instances, nor between them and this machine (" + sandbox_.problem() +
         "). For development and single-tenant hosts";
}

std::string ProcessRuntime::limitsNote() const {
  const std::string limits = cgroups_.limits();
  return limits.empty() ? "none is enforced: control groups cannot be written here" : limits;
}

EngineInfo ProcessRuntime::engine(const Call &) {
  EngineInfo info{"process", "1"};
  info.pause = info.stats = true;
  info.notes = {{"limits", limitsNote()}, {"separation", isolationNote()}};
  return info;
}

LogFile ProcessRuntime::log(const Instance &instance) const {
  return LogFile(settings_.stateDir + "/" + instance.ref + ".log", settings_.logMaxBytes, settings_.logMaxFiles);
}

void ProcessRuntime::prepare(const Call &, const Instance &instance) {
  static_cast<void>(commandOf(instance.spec, settings_));
}

std::string ProcessRuntime::launch(const Call &, const Instance &instance) {
  const InstanceSpec &spec = instance.spec;
  requireFreePorts(spec);
  SpawnOptions options;
  options.env = environmentOf(spec);
  // Said here by name; a shell or a sandbox would only leave a line in the instance's log.
  const std::string program = spec.command.empty() ? firstProgram(settings_.command) : spec.command.front();
  const std::string file = program.empty() ? "" : process::findProgram(program, options.env["PATH"]);
  options.argv = sandbox_.wrap(spec, commandOf(spec, settings_), file);
  options.directory = homeOf(spec);
  options.outputFile = log(instance).path();
  options.user = settings_.user;
  log(instance).rotateIfLarge();
  cgroups_.make(instance.ref, spec);
  try {
    const ProcessId id = spawnProcess(options, [&](const ProcessId &early) {
      cgroups_.join(instance.ref, early.pid);
      keepToken(instance, early.text());
    });
    return id.text();
  } catch (...) {
    cgroups_.remove(instance.ref);
    throw;
  }
}

bool ProcessRuntime::isAlive(const Instance &instance) {
  return isProcessAlive(idOf(instance));
}

int ProcessRuntime::deathFd(const Instance &instance) {
  return processDeathFd(idOf(instance));
}

void ProcessRuntime::end(const Call &call, const Instance &instance, std::chrono::milliseconds grace) {
  // Bubblewrap ends with what it wraps; asked to end itself it would leave that behind, unasked.
  endProcess(call, idOf(instance), grace, sandbox_.works());
  cgroups_.killAll(instance.ref);
}

Exit ProcessRuntime::exitOf(const Instance &instance) {
  // What the leader left behind when it ended by itself goes with it.
  const CallScope scope(std::chrono::seconds{5});
  guarded(nullptr, [&] { endProcess(Call(scope.abi()), idOf(instance), std::chrono::milliseconds{0}); });
  cgroups_.killAll(instance.ref);
  const Exit exit{reapProcess(idOf(instance)), cgroups_.oomKilled(instance.ref)};
  cgroups_.remove(instance.ref);
  return exit;
}

void ProcessRuntime::discard(const Call &, const Instance &instance) {
  cgroups_.killAll(instance.ref);
  cgroups_.remove(instance.ref);
  log(instance).remove();
}

void ProcessRuntime::freeze(const Call &, const Instance &instance) {
  if (cgroups_.canFreeze()) return cgroups_.freeze(instance.ref, true);
  process::signalSession(idOf(instance), SIGSTOP);
}

void ProcessRuntime::thaw(const Call &, const Instance &instance) {
  if (cgroups_.canFreeze()) cgroups_.freeze(instance.ref, false);
  process::signalSession(idOf(instance), SIGCONT);
}

Usage ProcessRuntime::usage(const Call &, const Instance &instance) {
  Usage usage;
  if (const auto counted = cgroups_.usage(instance.ref)) {
    usage.cpuNanos = counted->cpuNanos;
    usage.memoryBytes = counted->memoryBytes;
    usage.pids = counted->pids;
    usage.memoryLimitBytes = instance.spec.memoryBytes;
  } else {
    usage = sessionUsage(idOf(instance));
  }
  return usage;
}

void ProcessRuntime::readLogs(const Call &call, const Instance &instance, const LogOptions &options,
                              const LineFn &line) {
  log(instance).read(
      call, options.tail, options.follow, [&] { return !stopping() && instance.isUp() && isAlive(instance); },
      [&](std::int64_t timeMs, std::string_view text) { return line("stdout", timeMs, text); });
}

} // namespace matrixos::processes
