#include "UsageRoutes.h"

#include <matrixos/caller.hpp>
#include <matrixos/json_text.hpp>

#include <utility>

namespace matrixos::gateway {

namespace {

constexpr const char *kMayRead = "operator:usage:read";
constexpr const char *kMayLook = "owner|operator:usage:read";
constexpr const char *kMayAskOwn = "instance|signed-in|operator:usage:read";
constexpr const char *kMayWrite = "operator:usage:write";

Reports::Query queryOf(const Exchange &exchange) {
  return [&exchange](std::string_view name) { return exchange.queryParam(name); };
}

} // namespace

void UsageRoutes::publish() {
  routes_.add("GET", "/ai/usage", kMayRead, "What calls cost, by user, model, session or day",
              [this](Exchange &exchange) {
                if (reports_.wantsCsv(queryOf(exchange))) return csv(exchange, "", false);
                exchange.json(200, reports_.table(queryOf(exchange)));
              });
  routes_.add("GET", "/ai/usage/me", kMayAskOwn, "What an instance, or each of a user's own, has spent and holds",
              [this](Exchange &exchange) { own(exchange); });
  routes_.add("GET", "/ai/usage/summary", kMayRead, "What everybody has spent and holds", [this](Exchange &exchange) {
    if (reports_.wantsCsv(queryOf(exchange))) return csv(exchange, "", false);
    exchange.json(200, reports_.summary());
  });
  routes_.add("GET", "/ai/usage/:handle", kMayLook, "What one user has spent and holds, by model and session",
              [this](Exchange &exchange) { user(exchange); });
  routes_.add("GET", "/ai/usage/:handle/daily", kMayLook, "What one user's calls cost, by day",
              [this](Exchange &exchange) { daily(exchange); });
  routes_.add(
      "POST", "/ai/quotas/:handle", kMayWrite, "Sets one user's limits; null removes one",
      [this](Exchange &exchange) { exchange.json(200, reports_.setQuota(exchange.param("handle"), exchange.body())); });
  routes_.publish();
}

/// An operator who is no user has no instances.
void UsageRoutes::own(Exchange &exchange) const {
  const Caller caller = Caller::of(exchange);
  if (caller.kind == Caller::Kind::Instance) return exchange.json(200, reports_.own(caller.name()));
  JsonArray all;
  if (caller.id.rfind("user:", 0) == 0) {
    for (const std::string &handle : findOwned_(caller.name()))
      all.add(reports_.own(handle));
  }
  JsonObject answer;
  answer.addRaw("instances", std::move(all).str());
  exchange.json(200, std::move(answer).str());
}

void UsageRoutes::user(Exchange &exchange) const {
  const std::string_view userId = exchange.param("handle");
  if (reports_.wantsCsv(queryOf(exchange))) return csv(exchange, userId, false);
  exchange.json(200, reports_.user(userId, queryOf(exchange)));
}

void UsageRoutes::daily(Exchange &exchange) const {
  const std::string_view userId = exchange.param("handle");
  if (reports_.wantsCsv(queryOf(exchange))) return csv(exchange, userId, true);
  exchange.json(200, reports_.daily(userId, queryOf(exchange)));
}

void UsageRoutes::csv(Exchange &exchange, std::string_view userId, bool byDay) const {
  bool begun = false;
  reports_.csv(userId, byDay, queryOf(exchange), [&](std::string_view piece) {
    if (!std::exchange(begun, true)) exchange.begin(200, "text/csv; charset=utf-8");
    exchange.write(piece);
  });
  exchange.end();
}

} // namespace matrixos::gateway
