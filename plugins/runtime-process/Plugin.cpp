#include "ProcessRuntime.h"
#include "Program.h"

#include <matrixos/plugin.hpp>

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <memory>

namespace matrixos::processes {

namespace {

constexpr const char *kInstance = "process";

const mos_config_key kConfigKeys[] = {
    {"command", "string", "exec matrixos-instance", nullptr,
     "Shell command that an instance is, where its spec names none; it sees the instance's environment.", 0, 0},
    {"allow_spec_command", "bool", "true", nullptr, "Whether a spec may bring a command of its own.", 0, 0},
    {"sandbox", "enum", "auto", "auto|bubblewrap|none",
     "Bubblewrap around each instance: where it works, always (or the plugin fails), or never.", 0, 0},
    {"cgroups", "enum", "auto", "auto|none", "Whether limits are enforced by control groups where they can be written.",
     0, 0},
    {"user", "string", "", nullptr, "User that instances run as; empty: the daemon's own.", 0, 0},
    {"log_max_size", "size", "10MB", "0..10GB", "Size at which an instance's log is turned over; 0: never.", 0, 0},
    {"log_max_files", "int", "3", "1..100", "How many log files of an instance are kept.", 0, 0},
    {"volume_roots", "list", "", nullptr,
     "Directories that volumes may lie in; empty: anywhere but in the system's own directories.", 0, 0},
};

const mos_provide kProvides[] = {{MOS_RUNTIME_1, kInstance, MOS_RUNTIME_1_MINOR, 0}};

std::optional<std::pair<uid_t, gid_t>> findUser(const std::string &name) {
  if (name.empty()) return std::nullopt;
  std::array<char, 16384> space{};
  passwd entry{};
  passwd *found = nullptr;
  if (::getpwnam_r(name.c_str(), &entry, space.data(), space.size(), &found) != 0 || found == nullptr) {
    throw Error(Status::InvalidArgument,
                "[runtime-process] user: there is no user \"" + name + "\"; make it with: adduser --system " + name);
  }
  if (::geteuid() != 0 && entry.pw_uid != ::geteuid()) {
    throw Error(Status::InvalidArgument,
                "[runtime-process] user: only a daemon that runs as root can start programs of \"" + name + "\"");
  }
  return std::pair(entry.pw_uid, entry.pw_gid);
}

Settings readSettings(const Config &config, const std::string &platform) {
  const managed::Json info = managed::parseObject(platform);
  Settings settings;
  settings.dataDir = managed::text(info, "dataDir");
  settings.stateDir = settings.dataDir + "/runtime-process";
  settings.installId = managed::text(info, "installId");
  settings.command = config.getString("command");
  settings.allowSpecCommand = config.getBool("allow_spec_command");
  settings.sandbox = config.getString("sandbox");
  settings.cgroups = config.getString("cgroups");
  settings.user = findUser(config.getString("user"));
  settings.logMaxBytes = config.getInt("log_max_size");
  settings.logMaxFiles = static_cast<int>(config.getInt("log_max_files"));
  settings.volumeRoots = config.getList("volume_roots");
  return settings;
}

} // namespace

/// The plugin's life: the runtime is made in start() and gone after stop(), its instances go on.
class RuntimeProcess : public Plugin {
public:
  explicit RuntimeProcess(const mos_host_v1 *host) : config_(host), platform_(host), log_(host), services_(host) {}

  void start() override {
    settings_ = readSettings(config_, platform_.info());
    runtime_ = std::make_unique<ProcessRuntime>(settings_, [this](const std::string &text) { log_.warning(text); });
    runtime_->open();
    tellWhatItIs();
    services_.provide(MOS_RUNTIME_1, kInstance, runtime_->table());
  }

  void stop() override {
    if (!runtime_) return;
    runtime_->shutdown();
    services_.withdraw(MOS_RUNTIME_1, kInstance); // waits for the calls in the table
    runtime_->close();
  }

private:
  void tellWhatItIs() {
    log_.warning("instances are plain processes: for development and single-tenant hosts only",
                 {{"isolation", runtime_->isolationNote()}, {"limits", runtime_->limitsNote()}});
    if (::geteuid() == 0 && !settings_.user) {
      log_.warning("instances run as root: set [runtime-process] user to another user");
    }
    const std::string program = firstProgram(settings_.command);
    const mos_status found = guarded(nullptr, [&] {
      if (!program.empty()) static_cast<void>(process::findProgram(program, "/usr/local/bin:/usr/bin:/bin"));
    });
    if (found != MOS_OK) {
      log_.warning("there is no program \"" + program +
                   "\": instances whose spec names no command cannot start; set [runtime-process] command");
    }
  }

  Config config_;
  Platform platform_;
  Log log_;
  Services services_;
  Settings settings_;
  std::unique_ptr<ProcessRuntime> runtime_; ///< stays after stop(): its table is promised until destroy()
};

} // namespace matrixos::processes

MATRIXOS_PLUGIN(matrixos::processes::RuntimeProcess,
                matrixos::Descriptor("runtime-process", "Process runtime", "1.0.0")
                    .vendor("Matrix OS")
                    .license("MIT")
                    .description("Carries instances as processes of this machine, for development.")
                    .provides(matrixos::processes::kProvides)
                    .configKeys(matrixos::processes::kConfigKeys))
