#include "ControlRoutes.h"
#include "FaultFile.h"
#include "SimulatedRuntime.h"

#include <matrixos/plugin.hpp>

#include <map>
#include <memory>

namespace matrixos::simulated {

namespace {

constexpr const char *kInstance = "simulated";

// Only what was measured through the Docker API on a machine of two cores has a latency by default, so that a platform
// tried out on this engine feels like one on Docker. With clock=virtual none of it costs time.
const mos_config_key kConfigKeys[] = {
    {"clock", "enum", "real", "real|virtual", "Whether latencies pass in real time, or at once in a time of their own.",
     0, 0},
    {"seed", "int", "1", "0..", "Same seed and same calls: same refs, addresses, digests, latencies and faults.", 0, 0},
    {"state_dir", "path", "", nullptr, "Folder in which the engine outlives the daemon; empty: it ends with it.", 0, 0},
    {"features", "list", "pause, volumes, stats", nullptr, "What it can do: pause, volumes, stats, ports, health.", 0,
     0},
    {"addresses", "string", "127.64.0.0/15", nullptr, "Network of the instances' addresses, of this machine alone.", 0,
     0},
    {"backend", "string", "", nullptr, "Where all endpoints lead instead, like 127.0.0.1:8080; empty: nowhere.", 0, 0},
    {"images", "list", "", nullptr, "Images that are here without a pull.", 0, 0},
    {"registry", "list", "", nullptr, "Images that registries have, with * and ?; empty: every image.", 0, 0},
    {"image_size", "size", "64MB", "0..1024GB", "Bytes that a pull reports.", MOS_KEY_LIVE, 0},
    {"health_delay", "duration", "2s", "0s..1h", "From start to healthy, where features hold health.", 0, 0},
    {"pull_latency", "string", "0", nullptr, "Of a pull; like the next ones fixed (8ms) or a range (5ms..20ms).",
     MOS_KEY_LIVE, 0},
    {"create_latency", "string", "8ms", nullptr, "Of create.", MOS_KEY_LIVE, 0},
    {"start_latency", "string", "230ms", nullptr, "Of start.", MOS_KEY_LIVE, 0},
    {"stop_latency", "string", "194ms", nullptr, "Of stop; when the grace period is shorter, it is killed after that.",
     MOS_KEY_LIVE, 0},
    {"remove_latency", "string", "0", nullptr, "Of remove.", MOS_KEY_LIVE, 0},
    {"pause_latency", "string", "12ms", nullptr, "Of pause and unpause.", MOS_KEY_LIVE, 0},
    {"inspect_latency", "string", "0", nullptr, "Of inspect, endpoints and stats.", MOS_KEY_LIVE, 0},
    {"list_latency", "string", "0", nullptr, "Of list, before its first item.", MOS_KEY_LIVE, 0},
    {"volume_latency", "string", "0", nullptr, "Of the calls on volumes.", MOS_KEY_LIVE, 0},
    {"faults", "list", "", nullptr, "Fault rules, like create lost_reply nth=3 name=matrixos-a*.", MOS_KEY_LIVE, 0},
    {"faults_file", "path", "", nullptr, "JSON file of fault rules; a change of it counts from the next call on.", 0,
     0},
    {"control", "bool", "false", nullptr, "Whether the API has /simulated/…, which does to instances as it pleases.", 0,
     0},
};

const mos_provide kProvides[] = {{MOS_RUNTIME_1, kInstance, MOS_RUNTIME_1_MINOR, 0}};

/// Says which key is wrong.
auto readKey(const std::string &key, auto &&read) {
  try {
    return read();
  } catch (const Error &e) {
    throw Error(e.status(), "[runtime-simulated] " + key + ": " + e.what(), "BAD_CONFIG");
  }
}

void readFeatures(const Config &config, EngineOptions &options) {
  options.pause = options.volumes = options.stats = options.ports = options.health = false;
  const std::map<std::string, bool *, std::less<>> known{{"pause", &options.pause},
                                                         {"volumes", &options.volumes},
                                                         {"stats", &options.stats},
                                                         {"ports", &options.ports},
                                                         {"health", &options.health}};
  for (const std::string &feature : config.getList("features")) {
    const auto found = known.find(feature);
    if (found == known.end()) {
      throw Error(Status::InvalidArgument,
                  "[runtime-simulated] features: there is no \"" + feature +
                      "\"; there are pause, volumes, stats, ports and health",
                  "BAD_CONFIG");
    }
    *found->second = true;
  }
}

/// What is meant for an instance that does not exist must not leave this machine.
bool isLoopback(std::string_view address) {
  return address.substr(0, 4) == "127." || address == "[::1]" || address == "::1";
}

void checkBackend(const std::string &backend) {
  const std::size_t colon = backend.rfind(':');
  const long port = colon == std::string::npos ? 0 : std::strtol(backend.c_str() + colon + 1, nullptr, 10);
  if (backend.empty() || (isLoopback(std::string_view(backend).substr(0, colon)) && port >= 1 && port <= 65535)) return;
  throw Error(Status::InvalidArgument,
              "[runtime-simulated] backend is \"" + backend +
                  "\"; write an address of this machine alone and a port, like 127.0.0.1:8080",
              "BAD_CONFIG");
}

void checkAddresses(const std::string &network) {
  if (isLoopback(network)) return;
  throw Error(Status::InvalidArgument,
              "[runtime-simulated] addresses is \"" + network +
                  "\"; write a network of this machine alone, like 127.64.0.0/15",
              "BAD_CONFIG");
}

EngineOptions readOptions(const Config &config) {
  EngineOptions options;
  options.seed = static_cast<std::uint64_t>(config.getInt("seed"));
  options.addresses = config.getString("addresses");
  checkAddresses(options.addresses);
  options.backend = config.getString("backend");
  checkBackend(options.backend);
  readFeatures(config, options);
  options.images = config.getList("images");
  options.registry = config.getList("registry");
  options.healthDelay = config.getDuration("health_delay");
  options.stateDir = config.getString("state_dir");
  return options;
}

Pace readPace(const Config &config) {
  Pace pace;
  pace.imageBytes = config.getInt("image_size");
  const auto read = [&](const std::string &key, std::initializer_list<CallKind> calls) {
    const Latency latency = readKey(key, [&] { return Latency::parse(config.getString(key)); });
    for (const CallKind call : calls)
      pace.latency[indexOf(call)] = latency;
  };
  read("pull_latency", {CallKind::Pull});
  read("create_latency", {CallKind::Create});
  read("start_latency", {CallKind::Start});
  read("stop_latency", {CallKind::Stop});
  read("remove_latency", {CallKind::Remove});
  read("pause_latency", {CallKind::Pause, CallKind::Unpause});
  read("inspect_latency", {CallKind::Inspect, CallKind::Endpoints, CallKind::Stats});
  read("list_latency", {CallKind::List});
  read("volume_latency",
       {CallKind::VolumeEnsure, CallKind::VolumeTrash, CallKind::VolumeSnapshot, CallKind::VolumeRemoveIfEmpty});
  return pace;
}

std::vector<FaultRule> readFaults(const Config &config) {
  std::vector<FaultRule> rules;
  for (const std::string &line : config.getList("faults"))
    rules.push_back(readKey("faults", [&] { return FaultRule::parseLine(line); }));
  return rules;
}

} // namespace

/// The plugin's life: everything is made in start() and gone after stop().
class RuntimeSimulated : public Plugin {
public:
  explicit RuntimeSimulated(const mos_host_v1 *host)
      : host_(host), config_(host), platform_(host), log_(host), metrics_(host), services_(host) {}

  void start() override {
    const EngineOptions options = readOptions(config_);
    const Pace pace = readPace(config_);
    auto rules = readFaults(config_);
    clock_ = std::make_unique<EngineClock>(config_.getString("clock") == "virtual" ? EngineClock::Mode::Virtual
                                                                                   : EngineClock::Mode::Real);
    engine_ = std::make_unique<SimulatedEngine>(options, *clock_);
    faults_ = std::make_unique<FaultScript>(options.seed);
    faults_->replace(FaultScript::Source::Config, std::move(rules));
    file_ = std::make_unique<FaultFile>(config_.getString("faults_file"), *faults_,
                                        [this](const std::string &problem) { tellFile(problem); });
    makeSeries();
    runtime_ = std::make_unique<SimulatedRuntime>(*engine_, *faults_, file_.get(), observer());
    runtime_->setPace(pace);
    file_->refresh();
    tellInstances();
    if (config_.getBool("control")) {
      control_ = std::make_unique<ControlRoutes>(host_, *engine_, *runtime_, *faults_);
      control_->publish();
    }
    services_.provide(MOS_RUNTIME_1, kInstance, runtime_->table());
    log_.warning("instances of this engine are only simulated: nothing runs", {{"clock", config_.getString("clock")},
                                                                               {"state_dir", options.stateDir.string()},
                                                                               {"instances", engine_->count({})},
                                                                               {"control", control_ != nullptr}});
  }

  void stop() override {
    clock_->shutdown();
    // Waits for the calls in the table; shutdown() has cut them short.
    services_.withdraw(MOS_RUNTIME_1, kInstance);
  }

  void reconfigure() override {
    const Pace pace = readPace(config_);
    auto rules = readFaults(config_);
    runtime_->setPace(pace);
    faults_->replace(FaultScript::Source::Config, std::move(rules));
  }

private:
  void makeSeries() {
    for (const std::string_view name : kCallNames) {
      calls_.push_back(metrics_.counter("matrixos_simulated_calls_total", "Calls to the simulated engine.",
                                        {{"call", name}, {"outcome", "ok"}}));
      failures_.push_back(metrics_.counter("matrixos_simulated_calls_total", "Calls to the simulated engine.",
                                           {{"call", name}, {"outcome", "failed"}}));
    }
    for (const std::string_view name : kEffectNames) {
      struck_.push_back(
          metrics_.counter("matrixos_simulated_faults_total", "Faults that a script asked for.", {{"effect", name}}));
    }
    for (const std::string_view name : kStateNames) {
      instances_.push_back(
          metrics_.gauge("matrixos_simulated_instances", "Simulated containers by state.", {{"state", name}}));
    }
  }

  CallObserver observer() {
    return {[this](CallKind kind, Status status) {
              (status == Status::Ok ? calls_ : failures_)[indexOf(kind)].add();
              tellInstances();
            },
            [this](Effect effect) { struck_[static_cast<std::size_t>(effect)].add(); }};
  }

  void tellInstances() {
    const auto counts = engine_->counts();
    for (std::size_t state = 0; state < counts.size(); ++state)
      instances_[state].set(static_cast<double>(counts[state]));
  }

  void tellFile(const std::string &problem) {
    platform_.setDegraded(problem);
    if (!problem.empty()) log_.warning("the fault file is not taken", {{"problem", problem}});
  }

  const mos_host_v1 *host_;
  Config config_;
  Platform platform_;
  Log log_;
  Metrics metrics_;
  Services services_;
  std::vector<Series> calls_, failures_, struck_, instances_;
  std::unique_ptr<EngineClock> clock_;
  std::unique_ptr<SimulatedEngine> engine_;
  std::unique_ptr<FaultScript> faults_;
  std::unique_ptr<FaultFile> file_;
  std::unique_ptr<SimulatedRuntime> runtime_;
  std::unique_ptr<ControlRoutes> control_; ///< null unless the configuration asks for it
};

} // namespace matrixos::simulated

MATRIXOS_PLUGIN(matrixos::simulated::RuntimeSimulated,
                matrixos::Descriptor("runtime-simulated", "Simulated runtime", "1.0.0")
                    .vendor("Matrix OS")
                    .license("MIT")
                    .description("Carries instances that are only simulated, with latencies and faults as asked for.")
                    .provides(matrixos::simulated::kProvides)
                    .configKeys(matrixos::simulated::kConfigKeys))
