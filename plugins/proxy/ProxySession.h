/// ProxySession.h: the pipeline of one client connection: route → policy → wake → forward.
#pragma once

#include "Proxy.h"

#include <edge/Session.h>

#include <chrono>
#include <memory>
#include <string>

namespace matrixos::proxy {

/// Each stage either answers, or hands on to the next, at once or later. One loop's thread.
class ProxySession final : public edge::Session {
public:
  ProxySession(Shared &shared, LoopState &loop, const edge::Address &peer)
      : shared_(shared), loop_(loop), peer_(loop.settings->headers.peer(peer)), generation_(loop.settings->generation) {
  }
  ~ProxySession() override;

  void onRequest(edge::Exchange &exchange) override;
  bool isCurrent(edge::Exchange &exchange, const edge::Upstream &upstream) override;
  void writeRequest(edge::Exchange &exchange, edge::HeadWriter &writer) override;
  void writeResponse(edge::Exchange &exchange, edge::ResponseHead &head, edge::HeadWriter &writer) override;
  void onForwardFailed(edge::Exchange &exchange, edge::ForwardFailure failure) override;
  void onHoldTimeout(edge::Exchange &exchange) override;
  void onDrain(edge::Exchange &exchange) override;
  void onGone(edge::Exchange &exchange) override;
  void onUpgraded(edge::Exchange &exchange) override;
  void onResponseBytes(edge::Exchange &exchange, std::size_t bytes) override;
  void onFrames(edge::Exchange &exchange, std::uint64_t frames) override;
  void onFinished(edge::Exchange &exchange, const edge::Summary &summary) override;
  void onRefused(int status, const char *reason) override;

private:
  class Pending;
  void applyVerdict(edge::Exchange &exchange, Verdict verdict);
  void toInstance(edge::Exchange &exchange);
  bool takePlace(const edge::RequestHead &head);
  bool isReady() const noexcept;
  void noteReady(bool ready) const noexcept;
  void wake(edge::Exchange &exchange);
  void woken(edge::Exchange &exchange, const WakeResult &result);
  void goToDoor(edge::Exchange &exchange);
  void goIn(edge::Exchange &exchange);
  void leaveDoor() noexcept;
  void forwardTo(edge::Exchange &exchange, const std::shared_ptr<const edge::Upstream> &upstream);
  void followRoute(edge::Exchange &exchange);
  void fail(edge::Exchange &exchange, int status, std::string_view sentence, int retryAfter = 0);
  void failStopping(edge::Exchange &exchange);
  void tellToComeAgain(edge::Exchange &exchange, std::string sentence, int seconds);
  void turnAway(edge::Exchange &exchange, WakeGate::Entry full);
  void showProgress(edge::Exchange &exchange, int reloadSeconds);
  void stopWaiting() noexcept;
  void noteRequest(const edge::RequestHead &head);
  void logRequest(const Outcome &outcome, const edge::Summary &summary);
  std::uint64_t maxBody() const noexcept {
    return decision_.kind == Decision::Kind::Api ? options().maxApiBody : options().maxInstanceBody;
  }
  const ProxyOptions &options() const noexcept { return loop_.settings->options; }
  const std::shared_ptr<const edge::Upstream> &upstream() const noexcept;
  RouteClass routeClass() const noexcept;

  Shared &shared_;
  LoopState &loop_;
  PeerFacts peer_;
  std::uint64_t generation_; // of the settings that peer_ rests on
  Decision decision_;
  ClientFacts client_;
  std::shared_ptr<const Route> route_;
  InstancePlace place_;
  std::string serverTiming_; // phases of a wake
  std::chrono::steady_clock::time_point wokenAt_;
  std::string method_; // kept for the log once the head has gone
  std::string path_;
  std::uint64_t wakeTicket_ = 0;
  std::shared_ptr<WakeClaim> claim_;     // while the request waits
  std::shared_ptr<ActivityCell> atDoor_; // from the end of its wait to its answer
  std::chrono::steady_clock::time_point waitEnds_;
  bool waiting_ = false;
  bool pageDue_ = false; // the waiting page comes before the end of the wait
  bool askedToWake_ = false;
  bool eventStream_ = false;
};

} // namespace matrixos::proxy
