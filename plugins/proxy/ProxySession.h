/// ProxySession.h: the pipeline of one client connection: route → policy → wake → forward.
#pragma once

#include "Proxy.h"

#include <http/engine/Session.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace matrixos::proxy {

/// Each stage either answers, or hands on to the next, at once or later. One loop's thread.
class ProxySession final : public http::Session, private http::BodyObserver {
public:
  ProxySession(Shared &shared, LoopState &loop, const Address &peer)
      : shared_(shared), loop_(loop), peer_(loop.settings->headers.peer(peer)), generation_(loop.settings->generation) {
  }
  ~ProxySession() override;

  void onRequest(http::ClientExchange &exchange) override;
  bool isCurrent(http::ClientExchange &exchange, const http::Upstream &upstream) override;
  void writeRequest(http::ClientExchange &exchange, http::HeadWriter &writer) override;
  void writeResponse(http::ClientExchange &exchange, http::ResponseHead &head, http::HeadWriter &writer) override;
  void onForwardFailed(http::ClientExchange &exchange, http::ForwardFailure failure) override;
  void onHoldTimeout(http::ClientExchange &exchange) override;
  void onDrain(http::ClientExchange &exchange) override;
  void onGone(http::ClientExchange &) override { stopWaiting(); }
  void onUpgraded(http::ClientExchange &exchange) override;
  bool mayGoOn(http::ClientExchange &exchange) override;
  void onResponseBytes(http::ClientExchange &exchange, std::size_t bytes) override;
  void onRequestPayload(std::string_view) override { loop_.telemetry.moved(route_->activity); }
  void onFrames(http::ClientExchange &exchange, std::uint64_t frames) override;
  void onFinished(http::ClientExchange &exchange, const http::Summary &summary) override;
  bool isVital(const http::RequestHead &head) override;
  http::LocalResponse refusal(const http::ParseError &error) override;
  void onRefused(int status, const char *reason) override;

private:
  /// A person who opens an instance under the platform's host goes to the instance's own.
  bool goesHome(const http::RequestHead &head) const noexcept;
  void showFrontDoor(http::ClientExchange &exchange);
  void sendHome(http::ClientExchange &exchange);
  void consult(http::ClientExchange &exchange, std::size_t link);
  void askLater(http::ClientExchange &exchange, std::size_t link, PolicyQuestion &question);
  bool take(http::ClientExchange &exchange, std::size_t link, Verdict &&verdict);
  void refuse(http::ClientExchange &exchange, Verdict &&verdict);
  std::optional<Verdict> objection(http::ClientExchange &exchange);
  void pass(http::ClientExchange &exchange);
  void toInstance(http::ClientExchange &exchange);
  bool takePlace(const http::RequestHead &head);
  bool leaveAsleep(http::ClientExchange &exchange);
  std::size_t shareOf(std::size_t own) const noexcept;
  void setBusy(bool busy) noexcept;
  bool isReady() const noexcept;
  void noteReady(bool ready) const noexcept;
  void wake(http::ClientExchange &exchange);
  void woken(http::ClientExchange &exchange, const WakeResult &result);
  void enterThrottle(http::ClientExchange &exchange);
  void goIn(http::ClientExchange &exchange);
  void leaveThrottle() noexcept;
  void forwardTo(http::ClientExchange &exchange, const std::shared_ptr<const http::Upstream> &upstream);
  void followRoute(http::ClientExchange &exchange);
  void waitAgain(http::ClientExchange &exchange, int status, std::string_view sentence);
  void fail(http::ClientExchange &exchange, int status, std::string_view sentence, int retryAfter = 0);
  void failStopping(http::ClientExchange &exchange);
  void tellToComeAgain(http::ClientExchange &exchange, std::string sentence, int seconds);
  void turnAway(http::ClientExchange &exchange, WakeGate::Entry full);
  bool showsProgress(http::ClientExchange &exchange) const;
  void showProgress(http::ClientExchange &exchange, int reloadSeconds);
  void sayAwake(http::ClientExchange &exchange);
  void stopWaiting() noexcept;
  void noteRequest(const http::RequestHead &head);
  void logRequest(const RequestOutcome &outcome, const http::Summary &summary);
  std::uint64_t maxBody() const noexcept {
    return decision_.isApi() ? options().maxApiBody : options().maxInstanceBody;
  }
  const ProxyOptions &options() const noexcept { return loop_.settings->options; }
  const std::shared_ptr<const http::Upstream> &upstream() const noexcept;
  RouteClass routeClass() const noexcept;

  Shared &shared_;
  LoopState &loop_;
  PeerFacts peer_;
  std::uint64_t generation_; // of the settings that peer_ rests on
  RoutingDecision decision_;
  ClientFacts client_;
  std::shared_ptr<const InstanceRoute> route_;
  std::shared_ptr<const PolicyChain> policies_; // those that are asked about the request
  std::unique_ptr<KeptRequest> kept_;           // what is asked about a WebSocket
  std::string principal_;
  std::string_view namer_;            // the one of policies_ that named the principal
  std::int64_t undecidedSinceMs_ = 0; // 0: what goes on was decided about when they were last asked
  HeaderPolicy::AddedFields added_;
  InstancePlace place_;
  std::string serverTiming_; // phases of a wake
  std::chrono::steady_clock::time_point wokenAt_;
  std::string method_; // kept for the log once the head has gone
  std::string path_;
  std::uint64_t wakeTicket_ = 0;
  std::shared_ptr<WakeClaim> claim_;        // while the request waits
  std::shared_ptr<ActivityCell> throttled_; // from the end of its wait to its answer
  std::chrono::steady_clock::time_point waitEnds_;
  bool busy_ = false; // it has a place
  bool waiting_ = false;
  bool pageDue_ = false; // the waiting page comes before the end of the wait
  bool looks_ = false;   // only how the start goes
  bool hungUp_ = false;  // it was sent, and the connection ended without an answer
  unsigned asked_ = 0;   // how often to be woken
  bool eventStream_ = false;
};

} // namespace matrixos::proxy
