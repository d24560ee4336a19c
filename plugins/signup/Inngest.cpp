#include "Inngest.h"

#include <matrixos/json.hpp>

#include <string>
#include <utility>

namespace matrixos::signup {

namespace {

/// "" where the body does not say it: the route tells the caller what is wrong.
std::string userOf(std::string_view body) {
  try {
    return json::getString(*json::parseObject(body), "clerkUserId");
  } catch (const Error &) {
    return {};
  }
}

Principal callerFor(const Store &store, std::string_view body) {
  const std::string user = userOf(body);
  const auto known = user.empty() ? std::nullopt : store.find(user);
  if (known && known->isBuried()) return Principal::refused(409, "the user was deleted", "USER_DELETED");
  return Principal::operatorWith("inngest", "instances:write");
}

} // namespace

Inngest::Inngest(const mos_host_v1 *host, std::shared_ptr<Provisioner> provisioner, Refusals &refusals)
    : executor_(host), provisioner_(std::move(provisioner)), refusals_(refusals) {}

void Inngest::setKeys(std::vector<Secret> keys) {
  auto now = std::make_shared<const Keys>(std::move(keys));
  const std::lock_guard lock(mutex_);
  keys_.swap(now);
}

std::shared_ptr<const Inngest::Keys> Inngest::keys() const {
  const std::lock_guard lock(mutex_);
  return keys_;
}

Principal Inngest::identify(const IdentityRequest &request) {
  if (request.method() != "POST" || request.path() != "/containers/provision") return Principal::unknown();
  const std::string_view field = request.header("x-inngest-signature");
  const auto keys = this->keys();
  if (field.empty() || keys->empty()) return Principal::unknown();
  const std::int64_t now = provisioner_->now() / 1000;
  // A body that cannot be signed any more is not waited for.
  const Verdict verdict = request.hasBody() ? checkInngest(*keys, field, request.body(), now) : peekInngest(field, now);
  if (verdict == Verdict::Good) return request.hasBody() ? Principal::pending() : Principal::signedBody();
  const Refusals::Told told = refusals_.note(verdict, "inngest", request.requestId());
  return Principal::refused(401, told.text, told.reason);
}

void Inngest::findOut(const Call &, const IdentityRequest &request, Completion &done) {
  // What is thrown in it is logged, and the API told that it cannot be found out.
  executor_.submit([provisioner = provisioner_, body = std::string(request.body()),
                    later = std::make_shared<Completion>(std::move(done))] {
    later->succeed(callerFor(provisioner->store(), body).json());
  });
}

} // namespace matrixos::signup
