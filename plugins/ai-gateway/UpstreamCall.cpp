#include "UpstreamCall.h"

#include "ErrorAnswer.h"
#include "HeaderRules.h"
#include "ledger/UsdText.h"

#include <matrixos/call.hpp>

#include <http/codec/Grammar.h>

#include <algorithm>

namespace matrixos::gateway {

namespace {

/// An event that is this long is cut in its middle.
constexpr std::uint64_t kMostLine = 1U << 20U;

bool isEventStream(const http::FieldList &fields) {
  const std::string_view type = fields.value(http::Name::ContentType);
  return http::sameAsLower(http::trim(type.substr(0, type.find(';'))), "text/event-stream");
}

/// Behind the last whole event; 0: none ends here.
std::size_t endOfEvents(std::string_view text) noexcept {
  std::size_t end = 0;
  for (const std::string_view gap : {"\n\n", "\r\n\r\n", "\r\r"}) {
    const std::size_t at = text.rfind(gap);
    if (at != std::string_view::npos) end = std::max(end, at + gap.size());
  }
  return end;
}

std::uint64_t tokensOf(const TokenCounts &counts) noexcept {
  return std::uint64_t{counts.input} + counts.cacheRead + counts.cacheWrite5m + counts.cacheWrite1h + counts.output;
}

} // namespace

UpstreamCall::UpstreamCall(Shared &shared, std::shared_ptr<const Settings> settings)
    : shared_(shared), settings_(std::move(settings)), scrubber_(settings_->options.keys) {}

UpstreamCall::~UpstreamCall() {
  if (meter) meter->end(false);
  const Cost *cost = meter ? meter->cost() : nullptr;
  if (tokensTaken_ != 0) {
    const std::uint64_t took = cost == nullptr ? 0 : tokensOf(cost->sums);
    shared_.rates.correctTokens(meter->order().instanceId, tokensTaken_, took, monotonicNanos() / 1'000'000);
  }
  if (cost != nullptr && cost->partial) outcome_ = Outcome::Partial;
  shared_.figures.called(tour.model, outcome_);
  if (!settings_->options.accessLog) return;
  if (cost != nullptr) {
    record.costUsd = usdText(cost->money);
    record.outputTokens = cost->sums.output;
  }
  shared_.log.add(std::move(record));
}

void UpstreamCall::sent() noexcept {
  outcome_ = Outcome::Unreached;
  if (meter) meter->sent();
}

void UpstreamCall::head(const http::ResponseHead &head) {
  status_ = head.status;
  isEventStream_ = isEventStream(head.fields);
  outcome_ = status_ < 400 ? Outcome::Ok : Outcome::Error;
  if (meter) meter->head(status_, isEventStream_);
}

void UpstreamCall::refused(Outcome outcome) noexcept {
  outcome_ = outcome;
  if (meter) meter->end(false);
}

void UpstreamCall::onResponsePayload(std::string_view bytes) {
  if (meter && !meter->feed(bytes) && isEventStream_) overspent_ = true;
}

std::string_view UpstreamCall::editResponse(std::string_view piece, bool last) {
  const std::string_view clean = scrubber_.pass(piece, last);
  return overspent_ && !endsHere_ && !last ? cut(clean) : clean;
}

/// Ends a stream behind a whole event, or within one that does not end.
std::string_view UpstreamCall::cut(std::string_view piece) {
  const std::size_t whole = endOfEvents(piece);
  sinceCut_ += piece.size();
  if (whole == 0 && sinceCut_ < kMostLine) return piece;
  edited_.assign(piece, 0, whole == 0 ? piece.size() : whole);
  if (whole == 0) edited_ += "\n\n";
  edited_ += "event: error\ndata: ";
  edited_ += errorJson("billing_error", "spend limit reached; the answer was cut off here", record.requestId);
  edited_ += "\n\n";
  endsHere_ = true;
  return edited_;
}

http::BodyObserver::Rest UpstreamCall::onClientGone() {
  if (!meter) return {};
  return {shared_from_this(), settings_->options.drain, settings_->options.drainBytes};
}

void UpstreamCall::onResponseEnd(bool complete) noexcept {
  if (meter) meter->end(complete && !endsHere_);
}

} // namespace matrixos::gateway
