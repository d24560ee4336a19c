#include "DockerRuntime.h"
#include "HealthProbe.h"

#include <matrixos/json.hpp>
#include <matrixos/plugin.hpp>

#include <charconv>
#include <memory>

namespace matrixos::docker {

namespace {

constexpr const char *kInstance = "docker";
constexpr std::chrono::seconds kProbeTime{5};
constexpr std::chrono::seconds kProbeRetry{1};

const mos_config_key kConfigKeys[] = {
    {"endpoint", "string", "unix:/var/run/docker.sock", nullptr,
     "Where the engine listens: unix:<path>, or tcp://<loopback address>:<port>.", 0, 0},
    {"timeout", "duration", "30s", "1s..10m", "How long the engine may take to answer one request.", 0, 0},
    {"pull_silence", "duration", "5m", "1s..1h", "How long a pull may show no progress before it is given up.", 0, 0},
    {"max_reply", "size", "32MB", "1MB..1GB", "Longest answer of the engine that is read.", 0, 0},
    {"probe_interval", "duration", "10s", "1s..10m", "How often the engine is asked whether it is there.", 0, 0},
    {"auth_file", "path", "", nullptr, "Logins for registries, in the format of Docker's config.json.", 0, 0},
    {"cap_drop", "list", "ALL", nullptr, "Capabilities that instances lose.", 0, 0},
    {"cap_add", "list", "CHOWN, DAC_OVERRIDE, FOWNER, SETGID, SETUID", nullptr,
     "Capabilities that instances keep: what an image needs to hand its home to its own user and become it.", 0, 0},
    {"no_new_privileges", "bool", "true", nullptr, "Whether set-user-id programs inside gain nothing.", 0, 0},
    {"read_only_root", "bool", "false", nullptr, "Whether an instance may write only to its volumes.", 0, 0},
    {"pids_limit", "int", "256", "0..4194304", "Processes per instance where its spec says nothing; 0: no limit.", 0,
     0},
    {"log_max_size", "size", "10MB", "0..10GB", "Size at which an instance's log is rotated; 0: the engine's way.", 0,
     0},
    {"log_max_files", "int", "3", "1..100", "How many log files of an instance are kept.", 0, 0},
    {"host_gateway", "string", "", nullptr,
     "Address of this machine as instances see it; empty: the engine's host-gateway.", 0, 0},
    {"volume_owner", "string", "", nullptr,
     "Owner of new volume directories as <uid>:<gid>; empty: the daemon's own user.", 0, 0},
    {"volume_roots", "list", "", nullptr,
     "Directories that volumes may lie in; empty: anywhere but in the system's own directories.", 0, 0},
};

const mos_provide kProvides[] = {{MOS_RUNTIME_1, kInstance, MOS_RUNTIME_1_MINOR, 0}};

std::optional<std::pair<uid_t, gid_t>> parseOwner(const std::string &text) {
  if (text.empty()) return std::nullopt;
  const std::size_t colon = text.find(':');
  const auto number = [&](std::string_view digits) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size() || value == UINT32_MAX) {
      throw Error(Status::InvalidArgument,
                  "[runtime-docker] volume_owner is \"" + text + "\"; write it as <uid>:<gid>, like 1000:1000");
    }
    return value;
  };
  if (colon == std::string::npos) return std::pair(number(text), number(text));
  return std::pair(number(std::string_view(text).substr(0, colon)), number(std::string_view(text).substr(colon + 1)));
}

Settings readSettings(const Config &config, const Platform &platform) {
  Settings settings;
  settings.installId = json::findString(*json::parseObject(platform.info()), "installId").value_or("");
  settings.timeout = config.getDuration("timeout");
  settings.pullSilence = config.getDuration("pull_silence");
  settings.maxReply = static_cast<std::size_t>(config.getInt("max_reply"));
  settings.authFile = config.getString("auth_file");
  settings.capDrop = config.getList("cap_drop");
  settings.capAdd = config.getList("cap_add");
  settings.noNewPrivileges = config.getBool("no_new_privileges");
  settings.readOnlyRoot = config.getBool("read_only_root");
  settings.pidsLimit = config.getInt("pids_limit");
  settings.logMaxBytes = config.getInt("log_max_size");
  settings.logMaxFiles = config.getInt("log_max_files");
  settings.hostGateway = config.getString("host_gateway");
  settings.volumeOwner = parseOwner(config.getString("volume_owner"));
  settings.volumeRoots = config.getList("volume_roots");
  return settings;
}

/// Counts what the engine is asked. Made before the exchanges it observes.
class EngineMetrics {
public:
  explicit EngineMetrics(const Metrics &metrics)
      : up(metrics.gauge("matrixos_docker_engine_up", "1 while the engine answers, else 0.")),
        seconds_(metrics.histogram("matrixos_docker_request_seconds", "Duration of exchanges with the engine.",
                                   {0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1, 5, 30, 120})) {
    for (const char *outcome : {"ok", "refused", "unreachable", "denied", "reply", "given_up"}) {
      outcomes_.emplace(outcome, metrics.counter("matrixos_docker_requests_total", "Exchanges with the engine.",
                                                 {{"outcome", outcome}}));
    }
  }

  void observe(double seconds, const char *outcome) const {
    seconds_.observe(seconds);
    const auto found = outcomes_.find(outcome);
    if (found != outcomes_.end()) found->second.add();
  }

  const Series up;

private:
  const Series seconds_;
  std::map<std::string, Series, std::less<>> outcomes_;
};

} // namespace

/// The plugin's life: settings, client, runtime and probe, made in start() and gone after stop().
class RuntimeDocker : public Plugin {
public:
  explicit RuntimeDocker(const mos_host_v1 *host)
      : config_(host), platform_(host), log_(host), metrics_(host), services_(host) {}

  void start() override {
    settings_ = readSettings(config_, platform_);
    engineMetrics_ = std::make_unique<EngineMetrics>(metrics_);
    http_ = std::make_unique<EngineHttp>(
        EngineEndpoint::parse(config_.getString("endpoint")),
        [this](double seconds, const char *outcome) { engineMetrics_->observe(seconds, outcome); });
    runtime_ = std::make_unique<DockerRuntime>(*http_, settings_);
    services_.provide(MOS_RUNTIME_1, kInstance, runtime_->table());
    // A missing engine is no reason not to start: it may come later, and the daemon has more to do than this.
    probe_ = std::make_unique<HealthProbe>([this] { return askEngine(); },
                                           [this](const std::string &problem) { tellHealth(problem); },
                                           config_.getDuration("probe_interval"), kProbeRetry);
  }

  void stop() override {
    http_->shutdown();
    probe_.reset();
    // Waits for the calls in the table; shutdown() has cut them short.
    services_.withdraw(MOS_RUNTIME_1, kInstance);
  }

private:
  std::string askEngine() {
    const CallScope scope(kProbeTime);
    mos_error error{};
    const mos_status status = guarded(&error, [&] { version_ = runtime_->version(Call(scope.abi())); });
    return status == MOS_OK ? std::string() : std::string(error.message);
  }

  void tellHealth(const std::string &problem) {
    platform_.setDegraded(problem);
    engineMetrics_->up.set(problem.empty() ? 1 : 0);
    if (problem.empty()) {
      log_.info("the engine is there", {{"engine", version_.engine},
                                        {"version", version_.version},
                                        {"api", version_.api},
                                        {"endpoint", http_->endpoint().text()}});
    } else {
      log_.warning("the engine is not there", {{"problem", problem}, {"endpoint", http_->endpoint().text()}});
    }
  }

  Config config_;
  Platform platform_;
  Log log_;
  Metrics metrics_;
  Services services_;
  Settings settings_;
  EngineVersion version_; ///< of the probe's thread alone
  std::unique_ptr<EngineMetrics> engineMetrics_;
  std::unique_ptr<EngineHttp> http_;
  std::unique_ptr<DockerRuntime> runtime_;
  std::unique_ptr<HealthProbe> probe_;
};

} // namespace matrixos::docker

MATRIXOS_PLUGIN(matrixos::docker::RuntimeDocker,
                matrixos::Descriptor("runtime-docker", "Docker runtime", "1.0.0")
                    .vendor("Matrix OS")
                    .license("MIT")
                    .description("Carries instances as containers of a Docker or Podman engine.")
                    .provides(matrixos::docker::kProvides)
                    .configKeys(matrixos::docker::kConfigKeys))
