/// Serves the requests of one client, one after the other.
#pragma once

#include "Credential.h"
#include "ErrorAnswer.h"
#include "Gateway.h"
#include "Router.h"
#include "UpstreamCall.h"

#include <http/engine/Session.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace matrixos::gateway {

class GatewaySession final : public http::Session {
public:
  GatewaySession(Shared &shared, LoopState &loop) : shared_(shared), loop_(loop) {}

  void onRequest(http::ClientExchange &exchange) override;
  void onBody(http::ClientExchange &exchange, std::string_view piece, bool last) override;
  bool isCurrent(http::ClientExchange &exchange, const http::Upstream &to) override;
  void writeRequest(http::ClientExchange &exchange, http::HeadWriter &writer) override;
  bool acceptResponse(http::ClientExchange &exchange, const http::ResponseHead &head) override;
  void writeResponse(http::ClientExchange &exchange, http::ResponseHead &head, http::HeadWriter &writer) override;
  void onForwardFailed(http::ClientExchange &exchange, http::ForwardFailure failure) override;
  void onHoldTimeout(http::ClientExchange &exchange) override;
  void onDrain(http::ClientExchange &exchange) override;
  void onFinished(http::ClientExchange &exchange, const http::Summary &summary) override;
  http::LocalResponse refusal(const http::ParseError &error) override;
  void writeOwnFields(http::ClientExchange &exchange, const http::FieldPairs &given, http::HeadWriter &writer) override;
  bool isVital(const http::RequestHead &head) override { return head.path() == "/health"; }

private:
  enum class Asker : std::uint8_t { Nobody, Instance, OwnKey, Admin };

  void begin(http::ClientExchange &exchange);
  /// False: it was refused.
  bool letIn(http::ClientExchange &exchange);
  bool letInInstance(http::ClientExchange &exchange, bool stranger);
  void serve(http::ClientExchange &exchange);
  void serveCall(http::ClientExchange &exchange);
  bool enterRates(http::ClientExchange &exchange);
  void openMeter(http::ClientExchange &exchange);
  void tryNext(http::ClientExchange &exchange);
  void report(http::ClientExchange &exchange);
  /// Answers with what the task gives, on a thread that may block. What it throws becomes a refusal.
  void later(http::ClientExchange &exchange, std::function<http::LocalResponse()> task);
  void registerGateway(http::ClientExchange &exchange);
  void forgetGateway(http::ClientExchange &exchange);
  void sendMessage(http::ClientExchange &exchange);
  void refuse(http::ClientExchange &exchange, ErrorAnswer answer);
  void refuseSpending(http::ClientExchange &exchange, const Refused &refused);
  void answer(http::ClientExchange &exchange, int status, std::string json);
  /// How the caller stands with his limits. `rejectedUntilMs`: a spend limit refuses him until then; 0: none does.
  http::FieldPairs ownLimits(std::int64_t rejectedUntilMs = 0) const;
  /// Whom rates are counted for.
  std::string userKey(http::ClientExchange &exchange) const;
  std::int64_t nowMs(http::ClientExchange &exchange) const;

  Shared &shared_;
  LoopState &loop_;

  // Of the present request:
  std::shared_ptr<const Settings> settings_;
  Asker asker_ = Asker::Nobody;
  std::shared_ptr<const Owner> owner_; ///< of an instance
  Credential credential_;
  RouteMatch match_;
  std::string requestId_;
  std::string trace_; ///< traceparent: the caller's, else one of our making
  bool inExchange_ = false;
  std::string reason_; ///< what was refused, for the log
  std::string body_;
  std::shared_ptr<UpstreamCall> call_;          ///< one that goes to an upstream
  std::shared_ptr<const MessageTarget> target_; ///< of a message
  const char *why_ = "";                        ///< an answer was declined; static text
  std::int64_t bodyDoneNs_ = 0;
};

} // namespace matrixos::gateway
