#include "ShareRoutes.h"

#include <matrixos/identity.hpp>
#include <matrixos/json.hpp>
#include <matrixos/json_text.hpp>
#include <matrixos/text/time.hpp>

namespace matrixos::identity {

namespace {

std::string toJson(const Share &share) {
  JsonObject out;
  out.add("id", share.id);
  if (share.userId.empty())
    out.add("email", share.email);
  else
    out.add("user", share.userId);
  out.add("role", roleWord(share.role)).add("createdAt", formatTime(share.createdAt));
  return std::move(out).str();
}

std::uint32_t roleOf(const json::Object &body) {
  const auto word = json::findString(body, "role");
  const std::uint32_t role = word ? roleNamed(*word) : MOS_ROLE_USE;
  if (role != MOS_ROLE_USE && role != MOS_ROLE_MANAGE) throw json::badField("role", "\"use\" or \"manage\"");
  return role;
}

} // namespace

void ShareRoutes::addTo(Routes &routes) {
  constexpr const char *kPath = "/containers/:handle/shares";
  routes.add(
      "GET", kPath, MOS_PERMISSION_OWNER, "Whom an instance is shared with",
      [this](Exchange &exchange) {
        JsonArray out;
        for (const Share &share : shares_.of(exchange.param("handle")))
          out.add(toJson(share));
        exchange.json(200, std::move(out).str());
      },
      0);
  routes.add("POST", kPath, MOS_PERMISSION_OWNER, "Shares an instance", [this](Exchange &exchange) { add(exchange); });
  routes.add(
      "DELETE", std::string(kPath) + "/:id", MOS_PERMISSION_OWNER, "Ends a share",
      [this](Exchange &exchange) {
        if (!shares_.remove(exchange.param("handle"), exchange.param("id")))
          throw Error(Status::NotFound, "there is no such share", "NO_SHARE");
        exchange.json(200, R"({"ok":true})");
      },
      0);
}

void ShareRoutes::add(Exchange &exchange) const {
  const json::Object::Ptr body = json::parseObject(exchange.body());
  Share wanted;
  wanted.userId = json::findString(*body, "user").value_or("");
  wanted.email = json::findString(*body, "email").value_or("");
  wanted.role = roleOf(*body);
  exchange.json(201, toJson(shares_.add(exchange.param("handle"), std::move(wanted), exchange.principal())));
}

} // namespace matrixos::identity
