// runtime-template: carries each instance as a process of this machine. Replace what is between launch() and
// readLogs() by calls to your engine; the layer below keeps records, answers lists and events, and checks specs.
#include <matrixos/host_ports.hpp>
#include <matrixos/log_file.hpp>
#include <matrixos/managed_runtime.hpp>
#include <matrixos/process.hpp>

#include <mutex>

using namespace matrixos;

class TemplateRuntime : public ManagedRuntime {
public:
  static constexpr const char *kInstance = "runtime-template"; // [orchestrator] runtime=runtime-template
  explicit TemplateRuntime(const mos_host_v1 *host)
      : ManagedRuntime({stateDir(host, "runtime-template")}), folder_(stateDir(host, "runtime-template")),
        journal_(host) {}
  ~TemplateRuntime() override { close(); }
  void reconfigure(const Config &config) override { // at the start, and when an operator reloads
    const std::lock_guard lock(mutex_);
    command_ = config.getString("command");
  }

protected:
  EngineInfo engine(const Call &) override { return {"runtime-template", "1.0.0"}; }
  // After the start, and when the engine is back: log in again, throw away what belongs to none of `known`.
  void recover(const Call &, const std::vector<Instance> &known) override {
    journal_.info("looking for instances", {{"known", known.size()}});
  }
  std::string launch(const Call &, const Instance &instance) override {
    requireFreePorts(instance.spec);
    SpawnOptions program{instance.spec.command, instance.spec.env, "/", log(instance).path()};
    for (const InstanceSpec::Port &port : instance.spec.ports) // this machine's ports, not those of a container
      if (port.hostPort != 0) program.env[port.name == "shell" ? "SHELL_PORT" : "PORT"] = std::to_string(port.hostPort);
    if (program.argv.empty()) program.argv = {"/bin/sh", "-c", command()};
    // Kept before the program begins: a crash of the daemon in between loses nothing.
    return spawnProcess(program, [&](const ProcessId &id) { keepToken(instance, id.text()); }).text();
  }
  bool isAlive(const Instance &instance) override { return isProcessAlive(ProcessId::parse(instance.token)); }
  int deathFd(const Instance &instance) override { return processDeathFd(ProcessId::parse(instance.token)); }
  void end(const Call &call, const Instance &instance, std::chrono::milliseconds grace) override {
    endProcess(call, ProcessId::parse(instance.token), grace);
  }
  Exit exitOf(const Instance &instance) override { return {reapProcess(ProcessId::parse(instance.token))}; }
  void discard(const Call &, const Instance &instance) override { log(instance).remove(); }
  void tend(const Instance &instance) override { log(instance).rotateIfLarge(); }
  void readLogs(const Call &call, const Instance &instance, const LogOptions &options, const LineFn &line) override {
    log(instance).read(
        call, options.tail, options.follow, [&] { return !stopping() && isAlive(instance); },
        [&](std::int64_t timeMs, std::string_view text) { return line("stdout", timeMs, text); });
  }

private:
  LogFile log(const Instance &instance) const { return LogFile(folder_ + "/" + instance.ref + ".log"); }
  std::string command() {
    const std::lock_guard lock(mutex_);
    return command_;
  }

  const std::string folder_;
  const Log journal_;
  std::mutex mutex_;
  std::string command_;
};

const mos_config_key kKeys[] = {{"command", "string", "exec sleep 1000000", nullptr,
                                 "Shell command of instances whose spec names none.", MOS_KEY_LIVE, 0}};
const mos_provide kProvides[] = {{MOS_RUNTIME_1, TemplateRuntime::kInstance, MOS_RUNTIME_1_MINOR, 0}};

MATRIXOS_PLUGIN(RuntimePlugin<TemplateRuntime>, Descriptor("runtime-template", "Template", "1.0.0")
                                                    .vendor("Example")
                                                    .license("MIT")
                                                    .description("Carries instances as processes.")
                                                    .provides(kProvides)
                                                    .configKeys(kKeys))
