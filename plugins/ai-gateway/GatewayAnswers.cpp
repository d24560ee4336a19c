#include "GatewaySession.h"

#include <matrixos/call.hpp>
#include <matrixos/text/time.hpp>

#include <algorithm>
#include <utility>

/// What the gateway says itself.
namespace matrixos::gateway {

namespace {

/// Which part of a limit is used up, whichever is the nearest; 0 without limits.
struct Used {
  double part = 0;
  std::int64_t resetsAtMs = 0;
  void look(Money used, const std::optional<Money> &limit, std::int64_t resets) {
    if (!limit) return;
    const double now = limit->pico() <= 0 ? 1 : static_cast<double>(used.pico()) / static_cast<double>(limit->pico());
    if (resetsAtMs != 0 && now <= part) return;
    part = now;
    resetsAtMs = resets;
  }
};

/// The names under which clients look for how much is left; a warning comes at three quarters.
void spendFields(const Standing &standing, http::FieldPairs &out) {
  constexpr double kWarnAt = 0.75;
  Used used;
  used.look(standing.spend.day + standing.spend.held, standing.limits.daily, standing.dayEndsMs);
  used.look(standing.spend.month + standing.spend.held, standing.limits.monthly, standing.monthEndsMs);
  if (used.resetsAtMs == 0) return;
  const char *status = used.part >= 1 ? "rejected" : used.part >= kWarnAt ? "allowed_warning" : "allowed";
  out.emplace_back("anthropic-ratelimit-unified-status", status);
  out.emplace_back("anthropic-ratelimit-unified-reset", std::to_string(used.resetsAtMs / 1000));
}

} // namespace

http::FieldPairs GatewaySession::ownLimits() const {
  http::FieldPairs out;
  if (!owner_) return out;
  const std::int64_t now = wallClockMs();
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
  spendFields(shared_.to.ledger.standingOf(owner_->id), out);
  return out;
}

void GatewaySession::refuse(http::ClientExchange &exchange, ErrorAnswer answer) {
  if (call_) call_->refused(answer.status >= 500 ? Outcome::Unreached : Outcome::Refused);
  why_ = "";
  reason_ = answer.message;
  http::FieldPairs fields = std::move(answer.fields);
  if (asker_ == Asker::Instance && isCall(match_.route))
    for (auto &pair : ownLimits())
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
  refuse(exchange, {429,
                    "billing_error",
                    std::move(message),
                    {{"retry-after", retryAfter(refused.resetsAtMs - wallClockMs())}, {"x-should-retry", "false"}}});
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
