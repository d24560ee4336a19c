#include "Webhooks.h"

#include "UserEvent.h"

#include <matrixos/ulid.hpp>

#include <string>
#include <utility>

namespace matrixos::signup {

namespace {

constexpr std::uint64_t kMaxBody = 512 * 1024; // a user of Clerk's with all metadata is a tenth of it

/// svix-… where there is one of them, else webhook-…; never a mixture of both.
WebhookFields fieldsOf(const Exchange &exchange) {
  const auto with = [&](const std::string &prefix) {
    return WebhookFields{exchange.header(prefix + "-id").value_or(""),
                         exchange.header(prefix + "-timestamp").value_or(""),
                         exchange.header(prefix + "-signature").value_or("")};
  };
  const WebhookFields svix = with("svix");
  return svix.id.empty() && svix.timestamp.empty() && svix.signature.empty() ? with("webhook") : svix;
}

const char *wordOf(Effect effect) {
  return effect == Effect::Applied ? "applied" : effect == Effect::Repeated ? "repeated" : "ignored";
}

} // namespace

Webhooks::Webhooks(const mos_host_v1 *host, std::shared_ptr<Provisioner> provisioner, Refusals &refusals)
    : routes_(host), log_(host), provisioner_(std::move(provisioner)), refusals_(refusals),
      applied_(deliveries(host, "applied")), repeated_(deliveries(host, "repeated")),
      ignored_(deliveries(host, "ignored")) {}

void Webhooks::setKeys(std::vector<Secret> keys) {
  const std::lock_guard lock(mutex_);
  keys_ = std::move(keys);
}

std::vector<Secret> Webhooks::keys() const {
  const std::lock_guard lock(mutex_);
  if (keys_.empty())
    throw Error(Status::Unavailable, "nobody can sign for this route, since no key for it is configured", "NO_KEY");
  return keys_;
}

void Webhooks::publish() {
  routes_.add(
      "POST", "/webhooks/clerk", MOS_PERMISSION_PUBLIC, "Takes Clerk's events about users, signed by Svix",
      [this](Exchange &exchange) { clerk(exchange); }, kMaxBody);
  routes_.publish();
}

void Webhooks::clerk(Exchange &exchange) {
  const WebhookFields fields = fieldsOf(exchange);
  const Verdict verdict = checkWebhook(keys(), fields, exchange.body(), provisioner_->now() / 1000);
  if (verdict != Verdict::Good) {
    const Refusals::Told told = refusals_.note(verdict, "clerk", exchange.requestId());
    throw Error(Status::Unauthenticated, told.text, told.reason);
  }
  const Effect effect = apply(exchange, fields.id);
  (effect == Effect::Applied ? applied_ : effect == Effect::Repeated ? repeated_ : ignored_).add();
  if (effect == Effect::Applied) provisioner_->kick();
  exchange.json(200, std::string(R"({"ok":true,"result":")") + wordOf(effect) + R"("})");
}

Effect Webhooks::apply(Exchange &exchange, std::string_view deliveryId) const {
  const std::int64_t now = provisioner_->now();
  UserEvent event;
  try {
    event = readUserEvent(exchange.body());
  } catch (const Error &error) {
    log_.warning("a delivery cannot be read", {{"source", "clerk"}, {"delivery", deliveryId}, {"error", error.what()}});
    throw;
  }
  const Delivery delivery{"clerk", deliveryId, event.type};
  const Settings settings = provisioner_->settings();
  Signup signup;
  signup.id = makeUlid();
  signup.person = event.person;
  signup.receivedAt = now;
  switch (event.kind) {
  case UserEvent::Kind::Upsert:
    signup.wantedHandle = wantedHandle(settings.handleFrom, event.person);
    return provisioner_->store().upsert(&delivery, signup, event.updatedAt);
  case UserEvent::Kind::Deleted: {
    const Effect effect = provisioner_->store().bury(delivery, signup, now + settings.deleteGrace.count());
    if (effect == Effect::Applied) provisioner_->note("user deleted", kDeleter, {}, event.person.userId);
    return effect;
  }
  case UserEvent::Kind::Other:
    break;
  }
  return provisioner_->store().record(delivery, event.person.userId, now);
}

} // namespace matrixos::signup
