#include "TrashRoutes.h"

#include "InstanceStore.h"
#include "Permissions.h"

#include <matrixos/json_text.hpp>
#include <matrixos/text/time.hpp>

namespace matrixos::orchestrator {

void TrashRoutes::publish() {
  routes_.add("GET", "/trash", kReader, "Lists the data of deleted instances, oldest first",
              [this](Exchange &exchange) { list(exchange); });
  routes_.add("POST", "/trash/:id/restore", kWriter,
              "Puts the data of a deleted instance back, for its owner's next provision", [this](Exchange &exchange) {
                JsonObject answer;
                answer.add("ok", true).add("handle", trash_.restore(std::string(exchange.param("id"))));
                exchange.json(200, std::move(answer).str());
              });
  routes_.add("DELETE", "/trash/:id", kWriter, "Removes the data of a deleted instance for good",
              [this](Exchange &exchange) {
                trash_.purge(std::string(exchange.param("id")));
                exchange.json(200, R"({"ok":true})");
              });
  routes_.add("POST", "/handles/:handle/release", kWriter, "Lets anybody have the handle of a deleted instance",
              [this](Exchange &exchange) { release(exchange); });
  routes_.publish();
}

void TrashRoutes::list(Exchange &exchange) const {
  JsonArray items;
  for (const TrashBin::Item &item : trash_.list()) {
    JsonObject object;
    object.add("id", item.id).add("handle", item.handle).add("clerkUserId", item.clerkUserId);
    items.add(std::move(object.add("deletedAt", formatTime(item.deletedAt))).str());
  }
  exchange.json(200, std::move(items).str());
}

void TrashRoutes::release(Exchange &exchange) const {
  const std::string handle(exchange.param("handle"));
  if (!shop_.store.releaseHandle(handle, wallClockMs()))
    throw Error(Status::NotFound, "the handle \"" + handle + "\" is not reserved for anybody", "NOT_RESERVED");
  exchange.json(200, R"({"ok":true})");
}

} // namespace matrixos::orchestrator
