#include "daemon/Daemon.h"

#include "auth/Authenticator.h"
#include "auth/Secret.h"
#include "common/AtomicFile.h"
#include "common/Patience.h"
#include "config/InEffect.h"
#include "daemon/ApiMetrics.h"
#include "daemon/CoreRoutes.h"
#include "daemon/DaemonMetrics.h"
#include "daemon/ServiceCallMetrics.h"
#include "daemon/ServiceManager.h"
#include "daemon/Version.h"
#include "plugin/BlockWatch.h"

#include <matrixos/disk_space.hpp>
#include <matrixos/json.hpp>
#include <matrixos/text/time.hpp>
#include <matrixos/ulid.hpp>

#include <http/codec/DomainNames.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace matrixos::daemon {

namespace fs = std::filesystem;

namespace {

const log::Log kLog("core");

/// Requests that are open when the daemon stops may end; longer ones are answered 503, their work goes on or is
/// finished at the next start.
constexpr std::chrono::milliseconds kRequestPatience{5000};

/// A run that has served this long forgives single crashes of plugins.
constexpr std::chrono::minutes kSurvival{5};

constexpr std::chrono::seconds kStorageWatch{5};

/// How often it is asked whether a plugin blocks where nothing may.
constexpr std::chrono::seconds kBlockWatch{2};

constexpr std::chrono::seconds kFirstRetry{1};
constexpr std::chrono::seconds kLongestRetry{30};

/// Kept for as long as the data: labels on containers carry it, so that two daemons on one engine never mix.
void loadInstallId(const fs::path &dataDir, std::string &id) {
  const fs::path file = dataDir / "install-id";
  std::error_code error;
  if (!fs::exists(file, error)) {
    id = makeUlid();
    return common::writeFileAtomically(file, id + "\n");
  }
  id = common::readFile(file, 64);
  while (!id.empty() && id.back() == '\n')
    id.pop_back();
  if (id.size() == 26) return;
  throw Error(Status::DataLoss, file.string() + " is damaged; restore it from a backup, or delete it if this "
                                                "installation has no instances");
}

std::string hostName() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

void configureLog(const config::Config &config) {
  log::Options options;
  options.format = config.getString("log", "format") == "json" ? log::Format::Json : log::Format::Human;
  options.level = log::parseLevel(config.getString("log", "level"));
  log::configure(options);
}

/// The platform's, which no log shows from now on.
std::string readSecret(const config::Config &config) {
  std::string secret =
      auth::resolveSecret(config.getString("platform", "secret_file"), config.getString("platform", "data_dir"));
  log::addSecret(secret);
  return secret;
}

/// What opens the metrics; "" when there is none.
std::string readMetricsToken(const config::Config &config) {
  const std::string &file = config.getString("metrics", "token_file");
  if (file.empty()) return {};
  std::string token = auth::loadOwnSecret(file);
  log::addSecret(token);
  return token;
}

/// By Limit.
api::LimitRates limitsOf(const config::Config &config) {
  api::LimitRates rates;
  for (std::size_t i = 0; i < rates.size(); ++i)
    rates[i] = config.getRate("api", "limit_" + std::string(api::kLimitNames[i]));
  return rates;
}

int milliseconds(const config::Config &config, const char *key) {
  return static_cast<int>(config.getDuration("api", key).count());
}

} // namespace

Daemon::Daemon(ConfigService &configs, ConfigService::Loaded loaded)
    : configs_(configs), loaded_(std::move(loaded)), startedMs_(wallClockMs()), bootId_(makeUlid()) {
  configs_.replace(loaded_.config, loaded_.config);
  loaded_.config.reset(); // it may hold secrets that a reload replaces
}

Daemon::~Daemon() {
  plugin::PluginFaults::instance().observe(nullptr);
}

void Daemon::requestStop() noexcept {
  const std::lock_guard lock(mutex_);
  stop_ = true;
  wake_.notify_all();
}

void Daemon::requestReload() noexcept {
  const std::lock_guard lock(mutex_);
  reload_ = true;
  wake_.notify_all();
}

bool Daemon::stopRequested() const noexcept {
  const std::lock_guard lock(mutex_);
  return stop_;
}

void Daemon::run(const std::function<void()> &onServing) {
  configureLog(*config());
  log::capturePoco();
  startCore();
  startApi();
  try {
    if (!stopRequested()) startPlugins();
    if (!stopRequested()) serve(onServing);
  } catch (...) {
    stop();
    throw;
  }
  stop();
}

void Daemon::startCore() {
  const config::ConfigPtr config = this->config();
  const fs::path dataDir = config->getString("platform", "data_dir");
  directory_ = &configs_.crashes().directory(dataDir);
  loadInstallId(dataDir, installId_);
  kLog.info("starting", {{"version", kVersion}, {"dataDir", dataDir.string()}, {"pid", ::getpid()}});
  for (const std::string &warning : config->warnings())
    kLog.warning(warning);

  configs_.crashes().report(metrics_);

  common::ExecutorOptions executor;
  executor.threads = static_cast<std::size_t>(config->getInt("plugins", "executor_threads"));
  executor.onError = [](common::Owner, std::string_view what) { kLog.error("a task failed", {{"error", what}}); };
  executor_ = std::make_unique<common::Executor>(executor);
  timers_ = std::make_unique<common::Timers>(*executor_);
  events::EventBusOptions events;
  events.onError = [](common::Owner, std::string_view what) { kLog.error("a subscriber failed", {{"error", what}}); };
  events_ = std::make_unique<events::EventBus>(events);
  storage::DatabaseOptions database;
  database.file = config->getString("storage", "path");
  database_ = std::make_unique<storage::Database>(std::move(database));
  const auto announce = [this](const plugin::ServiceRegistry::Entry &entry, bool provided) {
    events_->publish(
        provided ? MOS_EVENT_SERVICE_PROVIDED : MOS_EVENT_SERVICE_WITHDRAWN,
        json::dump(json::object({{"service", entry.service}, {"instance", entry.instance}, {"plugin", entry.plugin}})));
    if (identities_ && entry.service == MOS_IDENTITY_1) identities_->refresh();
    if (audit_) audit_->refresh(entry.service);
  };
  services_ = std::make_unique<plugin::ServiceRegistry>(serviceCallObserver(metrics_), plugin::CallLimits{}, announce);
  identities_ = std::make_shared<IdentityProviders>(*services_);
  audit_ = std::make_shared<AuditProviders>(*services_, metrics_);
  plugin::PluginFaults::instance().observe(pluginFaultObserver(metrics_));
}

void Daemon::startApi() {
  const config::ConfigPtr config = this->config();
  auth::Authenticator::Options auth;
  auth.secret = readSecret(*config);
  auth.metricsToken = readMetricsToken(*config);
  auth.open = config->getString("api", "auth") == "none";
  auth.ownUid = ::geteuid();
  auth.onWrongSecret = [](std::uint64_t attempts) {
    kLog.warning("requests with a wrong secret were refused", {{"attempts", attempts}});
  };

  api::ApiServerOptions options;
  options.domain = config->getString("platform", "domain");
  options.consoleHost = config->getString("platform", "console_host");
  for (const auto &address : config->getListen("api", "admin")) {
    options.listen.push_back({address.toString(), auth::ApiSocket::Admin});
  }
  for (const auto &address : config->getListen("api", "listen")) {
    options.listen.push_back({address.toString(), auth::ApiSocket::Api});
  }
  authenticator_ = std::make_shared<auth::Authenticator>(std::move(auth));
  options.authenticator = authenticator_;
  options.identities = identities_;
  options.limits = limitsOf(*config);
  options.audit = audit_;
  options.workers = static_cast<int>(config->getInt("api", "threads"));
  options.backlog = options.workers;
  options.maxStreams = options.workers / 2;
  // Whatever plugins do with their requests, /health, /ready and the operator's commands are answered.
  options.reserve = options.workers / 8;
  options.perOwner = options.workers * 7 / 8;
  options.maxConnections = static_cast<std::size_t>(config->getInt("api", "max_connections"));
  options.maxHead = static_cast<std::size_t>(config->getSize("api", "max_header"));
  options.headTimeout = std::chrono::milliseconds{milliseconds(*config, "header_timeout")};
  options.idleTimeout = std::chrono::milliseconds{milliseconds(*config, "idle_timeout")};
  options.bodyTimeout = std::chrono::milliseconds{milliseconds(*config, "body_timeout")};
  options.exchangeTimeout = std::chrono::milliseconds{milliseconds(*config, "answer_timeout")};
  options.onAccess = accessObserver(metrics_);
  options.onFault = [](const std::string &what, const api::AccessRecord &record) {
    kLog.error("a request handler failed", {{"error", what}, {"route", record.route}, {"requestId", record.requestId}});
  };
  bindApi(options);
  if (api_) api_->addRoutes(common::kCoreOwner, coreRoutes(*this));
}

void Daemon::bindApi(const api::ApiServerOptions &options) {
  common::Patience patience(config()->getDuration("plugins", "retry_for"));
  const auto stopping = [this] { return stopRequested(); };
  while (!stopping()) {
    try {
      api_ = std::make_unique<api::ApiServer>(options);
      return;
    } catch (const Error &e) {
      kLog.error(e.what());
      ServiceManager::waiting(e.what());
      if (!common::mayPass(e.status()) || (!patience.wait(stopping) && !stopping())) throw;
    }
  }
}

void Daemon::startPlugins() {
  const config::ConfigPtr config = this->config();
  core_ = std::make_unique<plugin::CoreServices>(
      plugin::CoreServices{[this] { return this->config(); }, [this] { return platformInfo(); }, *database_, metrics_,
                           *events_, *api_, *executor_, *timers_, *services_, names_});
  plugin::PluginHost::Options options;
  options.folder = config->getString("plugins", "path");
  for (const std::string &id : config->getList("plugins", "required"))
    options.required.insert(id);
  options.timeouts = {config->getDuration("plugins", "start_timeout"), config->getDuration("plugins", "stop_timeout")};
  options.patience = config->getDuration("plugins", "retry_for");
  options.onWaiting = [](const std::string &missing) { ServiceManager::waiting(missing); };
  options.quarantine = configs_.crashes().quarantine();
  options.policies.emplace(fs::path(config->getString("platform", "data_dir")) / "policies");
  options.discover = [this](const std::string &id, bool anew) { return configs_.find(id, anew); };
  options.prepare = [this](const plugin::DiscoveredPlugin &candidate) { return configureFor(candidate); };
  plugins_ = std::make_unique<plugin::PluginHost>(*core_, options, std::move(loaded_.plugins));
  exposeDaemon(metrics_, {[this] { return plugins_->reports(); }, [this] { return api_->listRoutes(); },
                          [this] { return directory_->freeBytes(); }, config->getString("storage", "path")});
  reloader_ = std::make_unique<Reloader>(
      Reloader::Parts{configs_, *plugins_, [this](const config::Config &next) { return replaceSecrets(next); },
                      [this](const config::Config &next) {
                        configureLog(next);
                        api_->setLimits(limitsOf(next));
                      }});
  plugins_->startAll([this] { return stopRequested(); });
  identities_->refresh(); // those that did not start are asked too, and refuse
  audit_->refresh(MOS_AUDIT_1);
}

void Daemon::serve(const std::function<void()> &onServing) {
  // Connections made while the plugins started have waited in the kernel, so that nobody was told 404 meanwhile.
  api_->start();
  kLog.info(standing());
  CrashWatch::serving();
  ServiceManager::ready(standing());
  onServing();
  retryPlugins(kFirstRetry);
  timers_->schedule(common::kCoreOwner, kSurvival, {}, [this] { configs_.crashes().survived(); });
  // Also while nothing is written.
  timers_->schedule(common::kCoreOwner, {}, kStorageWatch, [this] {
    watchStorage();
    retryStarved();
  });
  timers_->schedule(common::kCoreOwner, {}, kBlockWatch, [this] {
    plugin::BlockWatch::look();
    identities_->giveUpHanging();
  });
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stop_ || reload_; });
    if (stop_) return;
    reload_ = false;
    lock.unlock();
    ServiceManager::reloading();
    try {
      reload();
    } catch (const std::exception &e) {
      kLog.error("the configuration was not reloaded; the old one stays in effect", {{"error", e.what()}});
    }
    ServiceManager::ready(standing());
    lock.lock();
  }
}

std::string Daemon::standing() const {
  return plugins_->ready() ? "serving" : "serving, but not all plugins run: see matrixosctl status";
}

void Daemon::retryPlugins(std::chrono::milliseconds pause) {
  const std::lock_guard lock(mutex_);
  if (stop_ || std::exchange(retrying_, true)) return;
  timers_->schedule(common::kCoreOwner, pause, {}, [this, pause] {
    const bool more = plugins_->retry([this] { return stopRequested(); });
    {
      const std::lock_guard done(mutex_);
      retrying_ = false;
      if (!stop_) ServiceManager::status(standing());
    }
    if (more) retryPlugins(std::min<std::chrono::milliseconds>(2 * pause, kLongestRetry));
  });
}

std::string Daemon::storageProblem() {
  std::string problem = database_->problem();
  if (problem.empty()) problem = fullDisk(directory_->path());
  if (problem.empty()) problem = fullDisk(database_->file().parent_path());
  return problem;
}

/// Loads what could not be loaded for want of space once more.
void Daemon::retryStarved() {
  for (const plugin::PluginReport &report : plugins_->reports()) {
    if (!report.starved || stopRequested()) continue;
    try {
      enablePlugin(report.manifest.id);
    } catch (const Error &) { // its report says why; the next time comes
    }
  }
}

void Daemon::watchStorage() {
  try {
    noteOutboxes(metrics_, database_->outbox().allCounts());
  } catch (const Error &) { // what was known last is shown; what is wrong is told below
  }
  const std::string problem = storageProblem();
  if (problem == storageProblem_) return;
  if (problem.empty())
    kLog.info("the data directory can be written again");
  else
    kLog.error(problem);
  storageProblem_ = problem;
}

void Daemon::stop() {
  requestStop(); // also after a failure
  ServiceManager::stopping();
  kLog.info("stopping");
  CrashWatch::stopping();
  const auto patience = config()->getDuration("plugins", "stop_timeout");
  // First the API, so that nobody is told 404 for a route whose plugin has just gone.
  if (api_) api_->stop(kRequestPatience);
  if (identities_) identities_->close();
  if (audit_) audit_->close();
  if (plugins_) plugins_->stopAll();
  if (timers_) timers_.reset();
  if (events_) events_->stop(patience);
  if (executor_) executor_->stop(patience);
  plugins_.reset();
  database_.reset();
  kLog.info("stopped");
}

ReloadReport Daemon::reload() {
  const std::lock_guard one(reloading_);
  try {
    ReloadReport report = reloader_->run();
    noteReload(metrics_, report.refused.empty());
    retryPlugins(kFirstRetry);
    return report;
  } catch (...) {
    noteReload(metrics_, false);
    throw;
  }
}

std::vector<std::string> Daemon::replaceSecrets(const config::Config &next) {
  const std::string secret = readSecret(next);
  const std::string metricsToken = readMetricsToken(next);
  std::vector<std::string> replaced;
  if (authenticator_->replaceSecret(secret)) replaced.emplace_back("the platform secret");
  if (authenticator_->replaceMetricsToken(metricsToken)) replaced.emplace_back("the metrics token");
  return replaced;
}

void Daemon::enablePlugin(const std::string &id) {
  const std::lock_guard one(reloading_);
  // What waited for a restart of the plugin has one now.
  if (!plugins_->runs(id)) configs_.replace(config::withSection(*config(), id, *configs_.wanted()), configs_.wanted());
  retryPlugins(kFirstRetry);
  plugins_->enable(id);
}

PluginReloadReport Daemon::reloadPlugin(const std::string &id) {
  const std::lock_guard one(reloading_);
  const config::ConfigPtr before = config();
  PluginReloadReport report{plugins_->reload(id), {}};
  for (const config::KeyChange &change : config::diff(*before, *config()))
    report.config.push_back(change.toString());
  return report;
}

std::function<void(bool)> Daemon::configureFor(const plugin::DiscoveredPlugin &candidate) {
  const config::ConfigPtr before = config();
  const config::ConfigPtr now = configs_.withPlugin(candidate, plugins_->loaded());
  return [this, before, now, id = candidate.id](bool forNew) {
    configs_.replace(forNew ? now : before, config::withSection(*configs_.wanted(), id, *now));
  };
}

std::string Daemon::platformInfo() const {
  const config::ConfigPtr config = this->config();
  const http::DomainNames names(config->getString("platform", "domain"), config->getString("platform", "console_host"));
  json::Object::Ptr info = json::object({{"installId", installId_},
                                         {"bootId", bootId_},
                                         {"node", hostName()},
                                         {"version", std::string(kVersion)},
                                         {"dataDir", config->getString("platform", "data_dir")},
                                         {"domain", config->getString("platform", "domain")},
                                         {"consoleHost", names.console()}});
  std::string socket, address;
  for (const auto &listen : config->getListen("api", "listen")) {
    if (listen.kind == config::ListenAddress::Kind::Unix && socket.empty()) socket = listen.path;
    if (address.empty()) address = listen.toString();
  }
  info->set("apiSocket", socket);
  info->set("apiAddress", address);
  json::Array listeners;
  for (const config::ConfiguredListener &listener : config->listeners())
    listeners.add(listener.address.toString());
  info->set("listeners", listeners);
  info->set("sites", json::strings(names_.sites()));
  return json::dump(info);
}

} // namespace matrixos::daemon
