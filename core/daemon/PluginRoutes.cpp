#include "daemon/PluginRoutes.h"

#include "daemon/Daemon.h"
#include "http/ApiExchange.h"
#include "plugin/ManifestJson.h"

#include <matrixos/abi/host.h>
#include <matrixos/json.hpp>

namespace matrixos::daemon {

namespace {

using ExchangePtr = std::shared_ptr<api::ApiExchange>;

std::string idOf(const ExchangePtr &exchange) {
  return std::string(exchange->param("id").value_or(""));
}

std::string octal(std::uint32_t mode) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%04o", mode);
  return text.data();
}

json::Object::Ptr describeFile(const plugin::PluginReport &report) {
  const plugin::FileFacts &facts = report.facts;
  json::Object::Ptr file = json::object({{"path", report.path}});
  if (facts.path.empty()) return file; // it could not be loaded
  file->set("owner", facts.owner);
  file->set("mode", octal(facts.mode));
  file->set("size", static_cast<Poco::UInt64>(facts.size));
  file->set("modifiedMs", facts.modifiedMs);
  file->set("sha256", facts.sha256);
  file->set("copy", facts.copy.string());
  file->set("changedOnDisk", facts.changedOnDisk());
  return file;
}

/// "providedBy" of each need: the plugins that provide the service at this moment.
void nameProviders(json::Object &object, const plugin::ServiceRegistry &services) {
  const auto entries = services.list();
  const json::Array::Ptr needs = object.getArray("needs");
  for (unsigned i = 0; i < needs->size(); ++i) {
    json::Object::Ptr need = needs->getObject(i);
    json::Array::Ptr providers = new json::Array;
    for (const auto &entry : entries) {
      // The registry knows lives of plugins: "orchestrator#12".
      if (entry.service == need->getValue<std::string>("service"))
        providers->add(entry.plugin.substr(0, entry.plugin.find('#')));
    }
    need->set("providedBy", providers);
  }
}

json::Object::Ptr describe(Daemon &daemon, const plugin::PluginReport &report) {
  json::Object::Ptr object = plugin::toJson(report.manifest);
  object->set("state", std::string(plugin::stateName(report.state)));
  if (!report.reason.empty()) object->set("reason", report.reason);
  object->set("sinceMs", report.sinceMs);
  object->set("enabled", report.enabled);
  object->set("required", report.required);
  object->set("generation", report.generation);
  object->set("hostMinor", MOS_HOST_MINOR);
  object->set("path", report.path);
  object->set("file", describeFile(report));
  nameProviders(*object, daemon.services());
  return object;
}

void answer(const ExchangePtr &exchange, const json::Value &value) {
  exchange->respond(200, "application/json", {}, json::dump(value));
}

void serveAll(Daemon &daemon, const ExchangePtr &exchange) {
  json::Array::Ptr list = new json::Array;
  for (const plugin::PluginReport &report : daemon.plugins().reports())
    list->add(describe(daemon, report));
  answer(exchange, list);
}

void serveOne(Daemon &daemon, const ExchangePtr &exchange) {
  const std::string id = idOf(exchange);
  for (const plugin::PluginReport &report : daemon.plugins().reports()) {
    if (report.manifest.id == id) return answer(exchange, describe(daemon, report));
  }
  throw Error(Status::NotFound, "there is no plugin \"" + id + "\"; GET /plugins lists them", "PLUGIN_UNKNOWN");
}

void serveReload(Daemon &daemon, const ExchangePtr &exchange) {
  const PluginReloadReport report = daemon.reloadPlugin(idOf(exchange));
  const plugin::PluginReport &before = report.plugin.before;
  json::Object::Ptr object = describe(daemon, report.plugin.after);
  json::Object::Ptr previous = json::object({{"version", before.manifest.version},
                                             {"generation", before.generation},
                                             {"state", std::string(plugin::stateName(before.state))},
                                             {"sha256", before.facts.sha256}});
  if (!report.plugin.leftBehind.empty()) previous->set("leftBehind", report.plugin.leftBehind);
  object->set("previous", previous);
  object->set("configChanges", json::strings(report.config));
  answer(exchange, object);
}

} // namespace

std::vector<api::Route> pluginRoutes(Daemon &daemon) {
  std::vector<api::Route> routes;
  const auto add = [&](const char *method, const char *pattern, const char *summary,
                       std::function<void(const ExchangePtr &)> handle) {
    const char *permission = method == std::string_view("GET") ? kMayRead : kMayWrite;
    routes.push_back({method, pattern, permission, summary, 0, std::move(handle)});
  };
  add("GET", "/plugins", "All plugins", [&daemon](const ExchangePtr &exchange) { serveAll(daemon, exchange); });
  add("GET", "/plugins/:id", "One plugin", [&daemon](const ExchangePtr &exchange) { serveOne(daemon, exchange); });
  add("POST", "/plugins/:id/enable", "Starts a plugin", [&daemon](const ExchangePtr &exchange) {
    daemon.enablePlugin(idOf(exchange));
    serveOne(daemon, exchange);
  });
  add("POST", "/plugins/:id/disable", "Stops a plugin", [&daemon](const ExchangePtr &exchange) {
    daemon.plugins().disable(idOf(exchange));
    serveOne(daemon, exchange);
  });
  add("POST", "/plugins/:id/reload", "Replaces a running plugin by what its file is now",
      [&daemon](const ExchangePtr &exchange) { serveReload(daemon, exchange); });
  return routes;
}

} // namespace matrixos::daemon
