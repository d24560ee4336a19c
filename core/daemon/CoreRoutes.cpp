#include "daemon/CoreRoutes.h"

#include "daemon/Daemon.h"
#include "daemon/PluginRoutes.h"
#include "daemon/Version.h"
#include "http/ApiExchange.h"

#include <matrixos/abi/host.h>
#include <matrixos/json.hpp>

#include <unistd.h>

namespace matrixos::daemon {

namespace {

using ExchangePtr = std::shared_ptr<api::ApiExchange>;

void answer(const ExchangePtr &exchange, int status, const json::Value &value) {
  exchange->respond(status, "application/json", {}, json::dump(value));
}

json::Object::Ptr standing(const plugin::PluginReport &report) {
  json::Object::Ptr object = json::object({{"state", std::string(plugin::stateName(report.state))}});
  if (!report.reason.empty()) object->set("reason", report.reason);
  return object;
}

/// {"status": "ready|not ready", "plugins": {"proxy": {"state": "running"}, …}}, and "storage" with why nothing can
/// be stored, if that is so.
json::Object::Ptr readiness(Daemon &daemon, bool &ready) {
  json::Object::Ptr plugins = new json::Object(Poco::JSON_PRESERVE_KEY_ORDER);
  for (const plugin::PluginReport &report : daemon.plugins().reports()) {
    plugins->set(report.manifest.id, standing(report));
  }
  const std::string problem = daemon.storageProblem();
  ready = problem.empty() && daemon.plugins().ready();
  json::Object::Ptr object =
      json::object({{"status", std::string(ready ? "ready" : "not ready")}, {"plugins", plugins}});
  if (!problem.empty()) object->set("storage", problem);
  return object;
}

void serveReady(Daemon &daemon, const ExchangePtr &exchange) {
  bool ready = false;
  json::Object::Ptr object = readiness(daemon, ready);
  // Balancers and service managers have no secret, and nobody else has any business with what the plugins are.
  if (exchange->data().principal.empty()) object = json::object({{"status", object->get("status").toString()}});
  answer(exchange, ready ? 200 : 503, object);
}

void serveStatus(Daemon &daemon, const ExchangePtr &exchange) {
  bool ready = false;
  json::Object::Ptr object = readiness(daemon, ready);
  object->set("version", std::string(kVersion));
  object->set("pid", static_cast<Poco::Int64>(::getpid()));
  object->set("startedMs", daemon.startedMs());
  object->set("platform", json::parse(daemon.platformInfo()));
  object->set("configFiles", json::strings(daemon.config()->files()));
  if (const auto others = daemon.notInEffect(); !others.empty()) object->set("notInEffect", json::strings(others));
  answer(exchange, 200, object);
}

void serveReload(Daemon &daemon, const ExchangePtr &exchange) {
  const ReloadReport report = daemon.reload();
  answer(exchange, 200,
         json::object({{"applied", json::strings(report.applied)},
                       {"needsRestart", json::strings(report.restart)},
                       {"refused", json::strings(report.refused)}}));
}

void serveRoutes(Daemon &daemon, const ExchangePtr &exchange) {
  json::Array::Ptr list = new json::Array;
  for (const api::RouteInfo &route : daemon.api().listRoutes()) {
    json::Object::Ptr entry = json::object({{"method", route.method},
                                            {"path", route.pattern},
                                            {"permission", route.permission},
                                            {"summary", route.summary}});
    if (!route.operation.empty()) entry->set("operation", json::parseObject(route.operation));
    list->add(entry);
  }
  answer(exchange, 200, list);
}

} // namespace

std::vector<api::Route> coreRoutes(Daemon &daemon) {
  std::vector<api::Route> routes = pluginRoutes(daemon);
  const auto add = [&](const char *method, const char *pattern, const char *permission, const char *summary,
                       std::function<void(const ExchangePtr &)> handle) {
    routes.push_back({method, pattern, permission, summary, 0, std::move(handle)});
  };
  add("GET", "/health", MOS_PERMISSION_PUBLIC, "The daemon lives",
      [](const ExchangePtr &exchange) { exchange->respond(200, "application/json", {}, R"({"status":"ok"})"); });
  add("GET", "/ready", MOS_PERMISSION_PUBLIC, "Every enabled plugin runs (200), or not (503); with the secret, which",
      [&daemon](const ExchangePtr &exchange) { serveReady(daemon, exchange); });
  add("GET", "/metrics", auth::kMetricsPermission.data(), "Prometheus metrics", [&daemon](const ExchangePtr &exchange) {
    exchange->respond(200, metrics::Metrics::contentType(), {}, daemon.metrics().exposition());
  });
  add("GET", "/status", kMayRead, "The daemon, its plugins and its listeners",
      [&daemon](const ExchangePtr &exchange) { serveStatus(daemon, exchange); });
  add("GET", "/config", kMayRead, "The effective configuration, secrets left out",
      [&daemon](const ExchangePtr &exchange) {
        std::string text = daemon.config()->dump();
        for (const std::string &other : daemon.notInEffect())
          text += "; not in effect: " + other + "\n";
        exchange->respond(200, "text/plain; charset=utf-8", {}, text);
      });
  add("GET", "/routes", kMayRead, "All routes with their permissions",
      [&daemon](const ExchangePtr &exchange) { serveRoutes(daemon, exchange); });
  add("POST", "/reload", kMayWrite, "Reads the configuration again",
      [&daemon](const ExchangePtr &exchange) { serveReload(daemon, exchange); });
  return routes;
}

} // namespace matrixos::daemon
