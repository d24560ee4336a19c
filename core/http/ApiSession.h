#pragma once

#include "http/AuditEntry.h"
#include "http/ServerCore.h"

#include <http/engine/Session.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::api {

/// A client connection of the API, on the loop: judges each request by path, route, permission and body, and hands it
/// to a worker. Silent, slow and malformed clients cost no worker.
class ApiSession final : public http::Session {
public:
  explicit ApiSession(std::shared_ptr<ApiServer::Core> core) : core_(std::move(core)) {}

  void onRequest(http::ClientExchange &exchange) override;
  void onBody(http::ClientExchange &exchange, std::string_view piece, bool last) override;
  void onWritable(http::ClientExchange &) override {
    if (exchange_) exchange_->drained();
  }
  void onHoldTimeout(http::ClientExchange &exchange) override;
  /// What is open gets its answer still; ApiServer::stop() says when patience ends.
  void onDrain(http::ClientExchange &) override {}
  void onFinished(http::ClientExchange &exchange, const http::Summary &summary) override;
  void writeOwnFields(http::ClientExchange &exchange, const http::FieldPairs &given, http::HeadWriter &writer) override;
  http::LocalResponse refusal(const http::ParseError &error) override;
  void onRefused(int status, const char *reason) override;

private:
  /// Somebody has to see the body before it is known who asks.
  struct Signed {
    std::string by;        ///< IdentityQuestion::signedBy
    auth::Decision before; ///< without it
  };

  void attempt(http::ClientExchange &exchange, auto &&step);
  void dispatch(http::ClientExchange &exchange);
  void enterSite(std::vector<std::string> &segments, const std::string &site);
  auth::Decision decide(http::ClientExchange &exchange, std::string_view permission) const;
  void admit(const auth::Decision &decision, RouteClass kind);
  void countCaller(http::ClientExchange &exchange, const auth::Decision &decision);
  void count(Limit limit, const auto &who);
  void answerUnrouted(http::ClientExchange &exchange, const std::vector<std::string> &allow);
  void authenticate(http::ClientExchange &exchange);
  void identify(http::ClientExchange &exchange, auth::Decision before);
  void judge(http::ClientExchange &exchange, const auth::Identity &who, const auth::Decision &before);
  void conclude(http::ClientExchange &exchange, auth::Decision decision);
  void takeBody(http::ClientExchange &exchange);
  void bodyTaken(http::ClientExchange &exchange);
  void submit(http::ClientExchange &exchange);
  void deliver(http::ClientExchange &exchange, http::LocalResponse answer);
  void sendKept(http::ClientExchange &exchange);
  void answer(http::ClientExchange &exchange, const Problem &problem);

  const std::shared_ptr<ApiServer::Core> core_;
  // Of the present request:
  std::unique_ptr<ApiRequest> request_;   ///< until then
  std::shared_ptr<ApiExchange> exchange_; ///< once it is with the handlers
  bool waitsForPlace_ = false;
  bool identifies_ = false;      ///< a plugin finds out who it is
  bool isPage_ = false;          ///< of a site
  bool isCounted_ = false;       ///< limits hold for who asks
  std::optional<Address> from_;  ///< see clientAddress()
  Address::Bytes client_{};      ///< whose address counts; see clientKey()
  std::optional<Charge> charge_; ///< what the answer says about limits
  std::optional<Signed> signed_;
  AuditEntry audit_;
  /// An answer that waits for the audit log, with its content type.
  std::optional<std::pair<http::LocalResponse, std::string>> kept_;
  AccessRecord record_;
};

} // namespace matrixos::api
