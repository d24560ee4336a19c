#include "testhost/Platform.h"

#include "config/CoreSchema.h"
#include "config/Loader.h"
#include "config/Validator.h"
#include "log/Log.h"

#include <matrixos/json.hpp>

#include <http/codec/DomainNames.h>
#include <unistd.h>

#include <utility>

namespace matrixos::testhost {

namespace {

/// Requests that are open at the end get their answers.
constexpr std::chrono::seconds kPatience{5};

events::EventBusOptions eventOptions() {
  events::EventBusOptions options;
  options.onError = [](common::Owner, std::string_view what) {
    log::Log("core").error("a subscriber failed", {{"error", what}});
  };
  return options;
}

common::ExecutorOptions executorOptions() {
  common::ExecutorOptions options;
  options.onError = [](common::Owner, std::string_view what) {
    log::Log("core").error("a task failed", {{"error", what}});
  };
  return options;
}

} // namespace

Platform::Platform(Options given)
    : options(std::move(given)), database({options.folder / "matrixos.db"}), events(eventOptions()),
      executor(executorOptions()), timers(executor, options.time),
      services(nullptr, {},
               [this](const plugin::ServiceRegistry::Entry &entry, bool provided) {
                 events.publish(
                     provided ? MOS_EVENT_SERVICE_PROVIDED : MOS_EVENT_SERVICE_WITHDRAWN,
                     json::dump(*json::object(
                         {{"service", entry.service}, {"instance", entry.instance}, {"plugin", entry.plugin}})));
                 if (entry.service == MOS_IDENTITY_1) identities->refresh();
                 audit->refresh(entry.service);
               }),
      identities(std::make_shared<daemon::IdentityProviders>(services)),
      audit(std::make_shared<daemon::AuditProviders>(services, metrics)),
      api(apiOptions()), core{[this] { return config(); },
                              [this] { return info(); },
                              database,
                              metrics,
                              events,
                              api,
                              executor,
                              timers,
                              services,
                              names} {
  setConfig(configurationOf({}, {}));
  api.start();
}

Platform::~Platform() {
  api.stop(kPatience);
  identities->close();
  audit->close();
}

config::ConfigPtr Platform::configurationOf(const std::vector<plugin::DiscoveredPlugin> &plugins,
                                            std::vector<std::string> sets) const {
  config::Schema schema = config::coreSchema();
  for (const auto &found : plugins) {
    if (found.manifest) schema.addPlugin(found.id, "", found.manifest->abiConfigKeys());
  }
  config::LoadOptions load;
  load.sets = {"platform.data_dir=" + options.folder.string(), "plugins.enabled=", "api.public_routes=/*"};
  load.sets.insert(load.sets.end(), std::make_move_iterator(sets.begin()), std::make_move_iterator(sets.end()));
  return config::validate(config::load(load), schema);
}

void Platform::setConfig(config::ConfigPtr config) {
  const std::lock_guard lock(mutex_);
  config_ = std::move(config);
}

config::ConfigPtr Platform::config() const {
  const std::lock_guard lock(mutex_);
  return config_;
}

std::string Platform::info() const {
  const std::string domain = config()->getString("platform", "domain");
  const http::DomainNames hosts(domain, config()->getString("platform", "console_host"));
  json::Object::Ptr facts = json::object({{"installId", options.installId},
                                          {"bootId", bootId_},
                                          {"node", std::string("localhost")},
                                          {"version", std::string("test")},
                                          {"dataDir", options.folder.string()},
                                          {"domain", domain},
                                          {"consoleHost", hosts.console()},
                                          {"apiSocket", apiSocket().string()},
                                          {"apiAddress", "unix:" + apiSocket().string()}});
  facts->set("listeners", json::Array());
  facts->set("sites", json::strings(names.sites()));
  return json::dump(*facts);
}

api::ApiServerOptions Platform::apiOptions() const {
  api::ApiServerOptions made;
  made.listen.push_back({"unix:" + adminSocket().string(), auth::ApiSocket::Admin});
  made.listen.push_back({"unix:" + apiSocket().string(), auth::ApiSocket::Api});
  auth::Authenticator::Options auth;
  auth.ownUid = ::geteuid();
  made.authenticator = std::make_shared<const auth::Authenticator>(auth);
  made.identities = identities;
  made.audit = audit;
  made.workers = 16;
  made.onFault = [](const std::string &what, const api::AccessRecord &record) {
    log::Log("core").error("a request handler failed", {{"error", what}, {"route", record.route}});
  };
  return made;
}

} // namespace matrixos::testhost
