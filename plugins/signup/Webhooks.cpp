#include "Webhooks.h"

#include "UserEvent.h"

#include <matrixos/json.hpp>
#include <matrixos/ulid.hpp>

#include <string>
#include <utility>

namespace matrixos::signup {

namespace {

constexpr std::int64_t kQuietNanos = 60'000'000'000;
constexpr std::uint64_t kMaxBody = 512 * 1024; // a user of Clerk's with all metadata is a tenth of it

Series counter(const Metrics &metrics, std::string_view result) {
  return metrics.counter("matrixos_signup_deliveries_total", "Deliveries of webhooks by result.", {{"result", result}});
}

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

bool hasInstance(const OrchestratorClient &orchestrator, const std::string &handle) {
  try {
    orchestrator.get(handle);
    return true;
  } catch (const Error &error) {
    if (error.status() != Status::NotFound) throw;
    return false;
  }
}

} // namespace

Webhooks::Webhooks(const mos_host_v1 *host, std::shared_ptr<Provisioner> provisioner,
                   Provisioner::Orchestrators orchestrators)
    : routes_(host), log_(host), provisioner_(std::move(provisioner)), orchestrators_(std::move(orchestrators)),
      applied_(counter(Metrics(host), "applied")), repeated_(counter(Metrics(host), "repeated")),
      ignored_(counter(Metrics(host), "ignored")), refused_(counter(Metrics(host), "refused")) {}

void Webhooks::setKeys(std::vector<Secret> clerk, std::vector<Secret> inngest) {
  const std::lock_guard lock(mutex_);
  clerkKeys_ = std::move(clerk);
  inngestKeys_ = std::move(inngest);
}

std::vector<Secret> Webhooks::keys(const std::vector<Secret> &which) const {
  std::vector<Secret> keys;
  {
    const std::lock_guard lock(mutex_);
    keys = which;
  }
  if (keys.empty())
    throw Error(Status::Unavailable, "nobody can sign for this route, since no key for it is configured", "NO_KEY");
  return keys;
}

void Webhooks::publish() {
  routes_.add(
      "POST", "/webhooks/clerk", MOS_PERMISSION_PUBLIC, "Takes Clerk's events about users, signed by Svix",
      [this](Exchange &exchange) { clerk(exchange); }, kMaxBody);
  routes_.add("POST", "/webhooks/inngest/provision", MOS_PERMISSION_PUBLIC,
              "Creates an instance for a user, signed by Inngest", [this](Exchange &exchange) { inngest(exchange); });
  routes_.publish();
}

void Webhooks::requireGood(Verdict verdict, const Exchange &exchange, const char *source) {
  if (verdict == Verdict::Good) return;
  refused_.add();
  const char *text = verdict == Verdict::Missing ? "the request is not signed"
                     : verdict == Verdict::Stale ? "the signature is from another time than now"
                                                 : "the signature is not of this request and a key that counts";
  // Anybody can make refusals; the metric counts all of them.
  const std::int64_t now = monotonicNanos();
  std::int64_t quietUntil = quietUntil_.load(std::memory_order_relaxed);
  if (now >= quietUntil && quietUntil_.compare_exchange_strong(quietUntil, now + kQuietNanos))
    log_.warning("a delivery was refused; others of the next minute are counted alone",
                 {{"source", source}, {"requestId", exchange.requestId()}, {"error", text}});
  throw Error(Status::Unauthenticated, text,
              verdict == Verdict::Missing ? "NO_SIGNATURE"
              : verdict == Verdict::Stale ? "STALE_SIGNATURE"
                                          : "BAD_SIGNATURE");
}

void Webhooks::clerk(Exchange &exchange) {
  const WebhookFields fields = fieldsOf(exchange);
  requireGood(checkWebhook(keys(clerkKeys_), fields, exchange.body(), provisioner_->now() / 1000), exchange, "clerk");
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
  case UserEvent::Kind::Deleted:
    return provisioner_->store().bury(delivery, signup, now + settings.deleteGrace.count());
  case UserEvent::Kind::Other:
    break;
  }
  return provisioner_->store().record(delivery, event.person.userId, now);
}

void Webhooks::inngest(Exchange &exchange) {
  requireGood(checkInngest(keys(inngestKeys_), exchange.header("x-inngest-signature").value_or(""), exchange.body(),
                           provisioner_->now() / 1000),
              exchange, "inngest");
  const json::Object::Ptr body = json::parseObject(exchange.body());
  const std::string handle = json::getString(*body, "handle");
  const std::string user = json::getString(*body, "clerkUserId");
  const auto known = provisioner_->store().find(user);
  if (known && (known->state == State::Deleting || known->state == State::Deleted))
    throw Error(Status::FailedPrecondition, "the user was deleted", "USER_DELETED");
  const auto table = orchestrators_();
  const bool isNew = !hasInstance(OrchestratorClient(table.get()), handle);
  const auto held = std::make_shared<Exchange>(std::move(exchange));
  // The table is kept until the answer is there.
  OrchestratorClient(table.get()).provision(nullptr, handle, user, [held, table, isNew](const Outcome &outcome) {
    if (outcome.error != nullptr)
      held->fail(*outcome.error);
    else
      held->json(isNew ? 201 : 200, outcome.json);
  });
}

} // namespace matrixos::signup
