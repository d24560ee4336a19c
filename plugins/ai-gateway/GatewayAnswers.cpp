#include "GatewaySession.h"

#include <matrixos/call.hpp>
#include <matrixos/text/time.hpp>

#include <algorithm>
#include <utility>

/// What the gateway says itself.
namespace matrixos::gateway {

namespace {

/// Which part of a limit is spent, of the limit of which that is most.
struct Used {
  double part = 0;
  std::int64_t resetsAtMs = 0;
  void look(Money spent, const std::optional<Money> &limit, std::int64_t resets) {
    if (!limit) return;
    const double now = limit->pico() <= 0 ? 1 : static_cast<double>(spent.pico()) / static_cast<double>(limit->pico());
    if (resetsAtMs != 0 && now <= part) return;
    part = now;
    resetsAtMs = resets;
  }
};

/// The names under which clients look for how this request stands. `rejectedUntilMs`: a spend limit refused it; 0: none
/// did. What is held does not count, as most of it comes back: a client would be warned of its own call.
void spendFields(const Standing &standing, std::int64_t rejectedUntilMs, http::FieldPairs &out) {
  Used used;
  used.look(standing.spend.day, standing.limits.daily, standing.dayEndsMs);
  used.look(standing.spend.month, standing.limits.monthly, standing.monthEndsMs);
  const std::int64_t resetsAtMs = rejectedUntilMs != 0 ? rejectedUntilMs : used.resetsAtMs;
  if (resetsAtMs == 0) return;
  const char *passed = used.part >= 0.95 ? "0.95" : used.part >= 0.75 ? "0.75" : nullptr;
  const char *status = rejectedUntilMs != 0 ? "rejected" : passed != nullptr ? "allowed_warning" : "allowed";
  out.emplace_back("anthropic-ratelimit-unified-status", status);
  out.emplace_back("anthropic-ratelimit-unified-reset", std::to_string(resetsAtMs / 1000));
  if (passed != nullptr) out.emplace_back("anthropic-ratelimit-unified-surpassed-threshold", passed);
}

} // namespace

http::FieldPairs GatewaySession::ownLimits(std::int64_t rejectedUntilMs) const {
  http::FieldPairs out;
  if (!owner_) return out;
  const std::int64_t now = shared_.to.ledger.nowMs();
  const RateSettings limits = settings_->options.rates;
  const RateLimits::Left left = shared_.rates.left(owner_->id, monotonicNanos() / 1'000'000);
  const auto rate = [&](const char *kind, std::uint64_t limit, std::uint64_t remaining) {
    if (limit == 0) return;
    const std::string prefix = std::string("anthropic-ratelimit-") + kind;
    const auto fullIn = static_cast<std::int64_t>((limit - std::min(limit, remaining)) * 60'000 / limit);
    out.emplace_back(prefix + "-limit", std::to_string(limit));
    out.emplace_back(prefix + "-remaining", std::to_string(remaining));
    out.emplace_back(prefix + "-reset", formatTimeSeconds(now + fullIn));
  };
  rate("requests", limits.requestsPerMinute, left.requests);
  rate("tokens", limits.tokensPerMinute, left.tokens);
  spendFields(shared_.to.ledger.standingOf(owner_->id), rejectedUntilMs, out);
  return out;
}

void GatewaySession::refuse(http::ClientExchange &exchange, ErrorAnswer answer) {
  if (call_) call_->refused(answer.status >= 500 ? Outcome::Unreached : Outcome::Refused);
  why_ = "";
  reason_ = answer.message;
  http::FieldPairs fields = std::move(answer.fields);
  if (asker_ == Asker::Instance && isCall(match_.route))
    for (auto &pair : ownLimits(answer.resetsAtMs))
      fields.push_back(std::move(pair));
  if (answer.status < 429) fields.emplace_back("x-should-retry", "false");
  exchange.respond(
      {answer.status, "application/json", errorJson(answer.type, answer.message, requestId_), std::move(fields)});
}

void GatewaySession::refuseSpending(http::ClientExchange &exchange, const Refused &refused) {
  using By = Refused::By;
  if (refused.by == By::Journal) {
    return refuse(exchange, {529,
                             "overloaded_error",
                             "the gateway cannot write down what calls cost; no call goes out",
                             {{"retry-after", "10"}}});
  }
  const bool daily = refused.by == By::UserDay || refused.by == By::GlobalDay;
  const bool everybody = refused.by == By::GlobalDay || refused.by == By::GlobalMonth;
  const std::string resets = formatTime(refused.resetsAtMs);
  std::string message = std::string("spend limit reached (") + (daily ? "daily" : "monthly");
  message += (everybody ? ", of all users" : "") + std::string("; resets ") + resets.substr(0, 10) + " " +
             resets.substr(11, 5) + " UTC)";
  refuse(exchange,
         {429,
          "billing_error",
          std::move(message),
          {{"retry-after", retryAfter(refused.resetsAtMs - shared_.to.ledger.nowMs())}, {"x-should-retry", "false"}},
          refused.resetsAtMs});
}

void GatewaySession::answer(http::ClientExchange &exchange, int status, std::string json) {
  exchange.respond({status, "application/json", std::move(json), {}});
}

void GatewaySession::writeOwnFields(http::ClientExchange &, const http::FieldPairs &given, http::HeadWriter &writer) {
  const bool has = std::any_of(given.begin(), given.end(), [](const auto &pair) { return pair.first == "request-id"; });
  if (!has) writer.field("request-id", requestId_);
}

http::LocalResponse GatewaySession::refusal(const http::ParseError &error) {
  const std::string id = inExchange_ ? requestId_ : loop_.makeId();
  reason_ = error.reason;
  return {error.status, "application/json", errorJson(errorType(error.status), error.reason, id), {{"request-id", id}}};
}

void GatewaySession::onDrain(http::ClientExchange &exchange) {
  refuse(exchange, {529, "overloaded_error", "the gateway is stopping; try again", {{"retry-after", "1"}}});
}

void GatewaySession::onHoldTimeout(http::ClientExchange &exchange) {
  refuse(exchange, {504, "timeout_error", "the answer took too long"});
}

} // namespace matrixos::gateway
