#include "ContainerRoutes.h"

#include "Permissions.h"

#include <matrixos/caller.hpp>
#include <matrixos/json.hpp>
#include <matrixos/json_text.hpp>

#include <functional>
#include <memory>

namespace matrixos::orchestrator {

namespace {

/// Answers the exchange when the operation ends. A refusal is thrown and answered by the caller's gate.
void answerLater(Exchange &exchange, std::function<void(Exchange &, const Result &)> success, auto &&command) {
  const auto held = std::make_shared<Exchange>(std::move(exchange));
  try {
    command([held, success = std::move(success)](const Result &result) {
      if (result.error)
        held->fail(*result.error);
      else
        success(*held, result);
    });
  } catch (const Error &e) {
    held->fail(e);
  }
}

void answerOk(Exchange &exchange, const Result &result) {
  exchange.json(200, R"({"ok":true,)" + result.json.substr(1));
}

void answerDeleted(Exchange &exchange, const Result &) {
  exchange.json(200, R"({"ok":true})");
}

void answerProvisioned(Exchange &exchange, const Result &result) {
  exchange.json(result.created ? 201 : 200, result.json);
}

} // namespace

void ContainerRoutes::publish() {
  routes_.add("POST", "/containers/provision", kWriter, "Creates an instance for a user",
              [this](Exchange &exchange) { provision(exchange); });
  routes_.add("POST", "/containers/:handle/start", kMayManage, "Starts an instance", [this](Exchange &exchange) {
    const std::string handle(exchange.param("handle"));
    answerLater(exchange, answerOk,
                [&](Done done) { orchestrator_.startThen(handle, MOS_NO_DEADLINE, std::move(done)); });
  });
  routes_.add("POST", "/containers/:handle/stop", kMayManage, "Stops an instance", [this](Exchange &exchange) {
    const std::string handle(exchange.param("handle"));
    answerLater(exchange, answerOk, [&](Done done) {
      orchestrator_.stopThen(handle, UINT64_MAX, "operator", MOS_NO_DEADLINE, std::move(done));
    });
  });
  routes_.add("DELETE", "/containers/:handle", kMayDestroy, "Removes an instance, moves its data to the trash",
              [this](Exchange &exchange) {
                const std::string handle(exchange.param("handle"));
                answerLater(exchange, answerDeleted,
                            [&](Done done) { orchestrator_.destroyThen(handle, MOS_NO_DEADLINE, std::move(done)); });
              });
  routes_.add("GET", "/containers", kMayList, "Lists instances, newest first; a user's own and shared ones",
              [this](Exchange &exchange) { list(exchange); });
  routes_.add("GET", "/containers/:handle", kMayLook, "Shows one instance",
              [this](Exchange &exchange) { exchange.json(200, orchestrator_.get(exchange.param("handle"))); });
  routes_.add("GET", "/containers/check-handle/:handle", kMayList, "Says whether a new user can have it",
              [this](Exchange &exchange) { checkHandle(exchange); });
  routes_.publish();
}

void ContainerRoutes::checkHandle(Exchange &exchange) {
  const std::string_view reason = orchestrator_.whyNot(exchange.param("handle"));
  JsonObject answer;
  answer.add("available", reason.empty());
  if (!reason.empty()) answer.add("reason", reason);
  exchange.json(200, std::move(answer).str());
}

void ContainerRoutes::provision(Exchange &exchange) {
  const json::Object::Ptr body = json::parseObject(exchange.body());
  const std::string handle = json::getString(*body, "handle");
  const std::string user = json::getString(*body, "clerkUserId");
  answerLater(exchange, answerProvisioned,
              [&](Done done) { orchestrator_.provisionThen(handle, user, MOS_NO_DEADLINE, std::move(done)); });
}

void ContainerRoutes::list(Exchange &exchange) {
  const std::string status(exchange.queryParam("status").value_or(""));
  if (exchange.queryParam("status") && status.empty()) {
    throw Error(Status::InvalidArgument, "\"status\" is empty; leave it out to list every instance", "BAD_STATUS");
  }
  const Caller caller = Caller::of(exchange);
  JsonArray items;
  for (const InstanceView &view : orchestrator_.views(status)) {
    if (caller.maySee("instances:read", view.instance->handle, view.instance->clerkUserId)) items.add(view.json());
  }
  exchange.json(200, std::move(items).str());
}

} // namespace matrixos::orchestrator
