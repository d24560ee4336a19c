#include "PolicyChain.h"

#include <matrixos/call.hpp>
#include <matrixos/json.hpp>

#include <http/codec/Grammar.h>
#include <http/pages/Page.h>

#include <algorithm>
#include <array>

namespace matrixos::proxy {

namespace {

using http::sameText;

constexpr std::size_t kMostFields = 32;
constexpr std::size_t kMostText = 8192; // of all texts of a verdict

/// What no policy has a say in: how a message is framed, where it goes, and who the client is.
bool isReserved(std::string_view name) {
  constexpr std::array<std::string_view, 22> kNames{"connection",
                                                    "content-length",
                                                    "content-type",
                                                    "cookie",
                                                    "date",
                                                    "expect",
                                                    "forwarded",
                                                    "host",
                                                    "http2-settings",
                                                    "keep-alive",
                                                    "server",
                                                    "te",
                                                    "traceparent",
                                                    "tracestate",
                                                    "trailer",
                                                    "upgrade",
                                                    "via",
                                                    "x-request-id",
                                                    "x-real-ip",
                                                    "cf-connecting-ip",
                                                    "transfer-encoding",
                                                    "content-encoding"};
  const auto startsWith = [&](std::string_view prefix) {
    return name.size() >= prefix.size() && sameText(name.substr(0, prefix.size()), prefix);
  };
  return startsWith("x-forwarded-") || startsWith("proxy-") || startsWith("sec-") ||
         std::any_of(kNames.begin(), kNames.end(), [&](std::string_view reserved) { return sameText(name, reserved); });
}

Verdict failed() {
  return {MOS_VERDICT_DENY, 503, "who may do this cannot be found out right now; try again", {}, {}, {}};
}

bool isAddress(std::string_view location) {
  const bool path = location.size() >= 1 && location[0] == '/' && (location.size() < 2 || location[1] != '/');
  const bool url = location.rfind("https://", 0) == 0 || location.rfind("http://", 0) == 0;
  return (path || url) && std::all_of(location.begin(), location.end(),
                                      [](char c) { return c > ' ' && c < '\x7f' && c != '\\' && c != '"'; });
}

/// Whether what the policy said can be followed; fills in what it left out.
bool complete(Verdict &verdict) {
  std::size_t texts = verdict.message.size() + verdict.location.size() + verdict.principal.size();
  for (const auto &[name, value] : verdict.fields) {
    texts += name.size() + value.size();
    if (!http::isToken(name) || !http::isFieldValue(value) || isReserved(name)) return false;
  }
  if (verdict.fields.size() > kMostFields || texts > kMostText) return false;
  switch (verdict.kind) {
  case MOS_VERDICT_ALLOW:
  case MOS_VERDICT_PENDING: // never of parseVerdict()
    return true;
  case MOS_VERDICT_DENY:
    if (verdict.status == 0) verdict.status = 403;
    if (verdict.message.empty()) verdict.message = "you may not do this";
    return verdict.status >= 400 && verdict.status <= 599;
  case MOS_VERDICT_REDIRECT:
    if (verdict.status == 0) verdict.status = 302;
    return isAddress(verdict.location) &&
           (verdict.status == 302 || verdict.status == 303 || verdict.status == 307 || verdict.status == 308);
  default:
    return false;
  }
}

/// A request as policies see it, and the verdict that they give to it.
class Question {
public:
  Question(const http::RequestHead &head, const RoutingDecision &decision, const ClientFacts &client) : head_(head) {
    const std::string_view target = decision.target;
    const std::size_t mark = std::min(target.find('?'), target.size());
    request_.of = this;
    request_.struct_size = sizeof(mos_policy_request);
    request_.flags = (http::isNavigation(head) ? MOS_REQUEST_NAVIGATION : 0) |
                     (head.upgradeWebSocket ? MOS_REQUEST_WEBSOCKET : 0) | (decision.byPath ? MOS_REQUEST_BY_PATH : 0);
    request_.method = toAbi(head.method);
    request_.host = toAbi(head.host);
    request_.handle = toAbi(decision.handle);
    request_.path = toAbi(mark == 0 ? std::string_view("/") : target.substr(0, mark));
    request_.query = toAbi(target.substr(std::min(mark + 1, target.size())));
    request_.scheme = toAbi(client.proto);
    request_.client = toAbi(client.ip);
    request_.request_id = toAbi(client.requestId);
    request_.field = &Question::field;
  }

  const mos_policy_request *forCheck() noexcept {
    request_.answer = &Question::answer;
    return &request_;
  }
  const mos_policy_request *forDecide() const noexcept { return &request_; }

  /// Once check() has returned.
  bool isAnswered(mos_status status) { return status == MOS_OK && answers_ == 1 && complete(verdict_); }
  Verdict &verdict() noexcept { return verdict_; }

private:
  struct Request : mos_policy_request {
    Question *of;
  };

  static std::int32_t field(const mos_policy_request *request, std::uint32_t index, mos_pair *out) {
    const http::FieldList &fields = static_cast<const Request *>(request)->of->head_.fields;
    const auto at = std::next(fields.begin(), static_cast<std::ptrdiff_t>(std::min<std::size_t>(index, fields.size())));
    if (at == fields.end()) return 0;
    *out = {toAbi(at->name), toAbi(at->value)};
    return 1;
  }

  static void answer(const mos_policy_request *request, const mos_policy_verdict *given) {
    Question &self = *static_cast<const Request *>(request)->of;
    if (++self.answers_ != 1 || given == nullptr) return;
    guarded(nullptr, [&] { self.read(*given); });
  }

  void read(const mos_policy_verdict &given) {
    if (given.struct_size < offsetof(mos_policy_verdict, fields) + sizeof given.fields) return;
    verdict_.kind = given.verdict;
    verdict_.status = static_cast<int>(given.status);
    verdict_.message = fromAbi(given.message);
    verdict_.location = fromAbi(given.location);
    verdict_.principal = fromAbi(given.principal);
    if (given.fields_count > kMostFields) verdict_.kind = 0;
    for (std::uint32_t i = 0; i < std::min<std::size_t>(given.fields_count, kMostFields); ++i)
      verdict_.fields.emplace_back(fromAbi(given.fields[i].key), fromAbi(given.fields[i].value));
  }

  const http::RequestHead &head_;
  Request request_{};
  int answers_ = 0;
  Verdict verdict_;
};

Verdict parseVerdict(const std::string &text) {
  const json::Object::Ptr object = json::parseObject(text);
  Verdict verdict;
  const std::string word = json::getString(*object, "verdict");
  verdict.kind = word == "allow"      ? MOS_VERDICT_ALLOW
                 : word == "deny"     ? MOS_VERDICT_DENY
                 : word == "redirect" ? MOS_VERDICT_REDIRECT
                                      : 0;
  verdict.status = static_cast<int>(json::getInt(*object, "status", 0));
  verdict.message = json::findString(*object, "message").value_or("");
  verdict.location = json::findString(*object, "location").value_or("");
  verdict.principal = json::findString(*object, "principal").value_or("");
  const json::Array::Ptr fields = json::findArray(*object, "fields");
  for (unsigned i = 0; fields && i < fields->size(); ++i) {
    const json::Array::Ptr field = fields->getArray(i);
    if (!field || field->size() != 2) throw Error(Status::Internal, "a field is [name, value]");
    verdict.fields.emplace_back(field->getElement<std::string>(0), field->getElement<std::string>(1));
  }
  return verdict;
}

} // namespace

Verdict PolicyChain::check(std::size_t link, const http::RequestHead &head, const RoutingDecision &decision,
                           const ClientFacts &client) const {
  const Link &asked = links_[link];
  Question question(head, decision, client);
  if (question.isAnswered(asked.table->check(asked.table->self, question.forCheck(), nullptr)))
    return std::move(question.verdict());
  ++*asked.failures;
  return failed();
}

void PolicyChain::decide(std::size_t link, const http::RequestHead &head, const RoutingDecision &decision,
                         const ClientFacts &client, std::chrono::milliseconds patience, Then then) const {
  const Link &asked = links_[link];
  const Question question(head, decision, client);
  const CallScope call(patience);
  const auto finish = [failures = asked.failures, then = std::move(then)](const Outcome &outcome) {
    Verdict said;
    try {
      if (outcome.error == nullptr) said = parseVerdict(std::string(outcome.json));
    } catch (const std::exception &) { // it said what nobody understands
      said.kind = 0;
    }
    if (complete(said)) return then(std::move(said));
    ++*failures;
    then(failed());
  };
  withCompletion(finish, [&](mos_completion done, mos_error *error) {
    return asked.table->decide(asked.table->self, call.abi(), question.forDecide(), done, error);
  });
}

} // namespace matrixos::proxy
