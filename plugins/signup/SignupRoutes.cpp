#include "SignupRoutes.h"

#include <matrixos/json_text.hpp>

#include <optional>
#include <string>
#include <utility>

namespace matrixos::signup {

namespace {

constexpr std::int64_t kUsualLimit = 1000, kMostLimit = 10'000;

std::optional<State> stateParam(const Exchange &exchange) {
  const auto text = exchange.queryParam("state");
  if (!text) return std::nullopt;
  const auto state = stateOf(*text);
  if (!state)
    throw Error(Status::InvalidArgument, "\"state\" has to be waiting, provisioning, done, failed, deleting or deleted",
                "BAD_STATE");
  return state;
}

} // namespace

void SignupRoutes::publish() {
  routes_.add("GET", "/signups", "operator:users:read", "Lists who signed up, newest first",
              [this](Exchange &exchange) { list(exchange); });
  routes_.add("GET", "/signups/:id", "operator:users:read", "Shows one sign-up, by its id or its user's",
              [this](Exchange &exchange) { show(exchange); });
  routes_.add("POST", "/signups/:id/retry", "operator:users:write", "Tries a sign-up now that failed or waits",
              [this](Exchange &exchange) { exchange.json(200, provisioner_->retry(exchange.param("id")).json()); });
  routes_.publish();
}

void SignupRoutes::list(Exchange &exchange) const {
  JsonArray items;
  provisioner_->store().list(stateParam(exchange), exchange.queryParam("before").value_or(""),
                             exchange.queryNumber("limit", kMostLimit, kUsualLimit),
                             [&](const Signup &signup) { items.add(signup.json()); });
  exchange.json(200, std::move(items).str());
}

void SignupRoutes::show(Exchange &exchange) const {
  const auto signup = provisioner_->store().find(exchange.param("id"));
  if (!signup)
    throw Error(Status::NotFound, "there is no sign-up \"" + std::string(exchange.param("id")) + "\"", "NO_SIGNUP");
  exchange.json(200, signup->json());
}

} // namespace matrixos::signup
