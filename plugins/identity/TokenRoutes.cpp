#include "TokenRoutes.h"

#include <matrixos/json.hpp>
#include <matrixos/json_text.hpp>
#include <matrixos/text/time.hpp>

#include <http/codec/Grammar.h>

#include <algorithm>
#include <charconv>
#include <sstream>

namespace matrixos::identity {

namespace {

constexpr const char *kPermission = "operator:tokens:write";

std::string scopesJson(std::string_view scopes) {
  JsonArray out;
  while (!scopes.empty()) {
    const std::string_view scope = scopes.substr(0, scopes.find(' '));
    out.add("\"" + std::string(scope) + "\"");
    scopes.remove_prefix(std::min(scope.size() + 1, scopes.size()));
  }
  return std::move(out).str();
}

/// `secret`: "" but for a new one.
std::string toJson(const ApiToken &token, std::string_view secret = {}) {
  JsonObject out;
  out.add("id", token.id).add("name", token.name).addRaw("scopes", scopesJson(token.scopes));
  out.add("createdBy", token.createdBy).add("createdAt", formatTime(token.createdAt));
  out.add("expiresAt", formatTime(token.expiresAt));
  if (!secret.empty()) out.add("token", secret);
  return std::move(out).str();
}

/// A list of them, or a text with commas between, as people type it.
std::vector<std::string> scopesOf(const json::Object &body) {
  const json::Value value = body.get("scopes");
  if (value.isEmpty() || !value.isString()) return json::getStrings(body, "scopes");
  std::vector<std::string> out;
  std::istringstream items(value.convert<std::string>());
  for (std::string item; std::getline(items, item, ',');)
    out.emplace_back(http::trim(item));
  return out;
}

} // namespace

std::int64_t parseTtl(std::string_view text) {
  std::int64_t count = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view unit = text.substr(static_cast<std::size_t>(read.ptr - text.data()));
  const std::int64_t seconds = unit == "d" ? 86'400 : unit == "h" ? 3600 : unit == "m" ? 60 : unit == "s" ? 1 : 0;
  constexpr std::int64_t kMost = 1'000'000'000;
  if (read.ec != std::errc{} || seconds == 0 || count <= 0 || count > kMost / seconds)
    throw Error(Status::InvalidArgument, "\"ttl\" is a duration like 90d, 12h or 30m", "BAD_TTL");
  return count * seconds * 1000;
}

void TokenRoutes::addTo(Routes &routes) {
  routes.add(
      "GET", "/tokens", kPermission, "API tokens, without what opens anything",
      [this](Exchange &exchange) {
        JsonArray out;
        for (const ApiToken &token : tokens_.list())
          out.add(toJson(token));
        exchange.json(200, std::move(out).str());
      },
      0);
  routes.add("POST", "/tokens", kPermission, "Makes an API token, which is shown once",
             [this](Exchange &exchange) { make(exchange); });
  routes.add(
      "DELETE", "/tokens/:id", kPermission, "Ends an API token",
      [this](Exchange &exchange) {
        if (!tokens_.remove(exchange.param("id"))) throw Error(Status::NotFound, "there is no such token", "NO_TOKEN");
        exchange.json(200, R"({"ok":true})");
      },
      0);
}

void TokenRoutes::make(Exchange &exchange) const {
  const json::Object::Ptr body = json::parseObject(exchange.body());
  const std::vector<std::string> scopes = scopesOf(*body);
  requireAsStrong(Caller::of(exchange), scopes);
  const auto made = tokens_.make(json::getString(*body, "name"), scopes, parseTtl(json::getString(*body, "ttl")),
                                 exchange.principal());
  exchange.respond(201, "application/json; charset=utf-8", toJson(made.token, made.secret),
                   {{"Cache-Control", "no-store"}});
}

/// Nobody, and no token, makes one that may do more than itself.
void TokenRoutes::requireAsStrong(const Caller &caller, const std::vector<std::string> &scopes) {
  for (const std::string &scope : scopes) {
    if (caller.kind != Caller::Kind::Operator || !caller.hasScope(scope))
      throw Error(Status::PermissionDenied, "a token makes none that may do more than itself", "STRONGER");
  }
}

} // namespace matrixos::identity
