#include "PolicyQuestion.h"

#include <matrixos/call.hpp>

#include <http/pages/Page.h>

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace matrixos::proxy {

KeptRequest::KeptRequest(const mos_policy_request &request)
    : request_(request), fields_(request.fields, request.fields + request.fields_count) {
  std::vector<mos_str *> texts{&request_.method, &request_.host,   &request_.handle, &request_.path,
                               &request_.query,  &request_.scheme, &request_.client, &request_.request_id};
  for (mos_pair &field : fields_)
    texts.insert(texts.end(), {&field.key, &field.value});
  for (const mos_str *text : texts)
    texts_ += fromAbi(*text);
  const char *at = texts_.data();
  for (mos_str *text : texts) {
    text->ptr = at;
    at += text->len;
  }
  request_.fields = fields_.data();
}

PolicyQuestion::PolicyQuestion(const http::RequestHead &head, const RoutingDecision &decision,
                               const ClientFacts &client, std::vector<mos_pair> &memory) {
  memory.clear();
  for (const http::Field &field : head.fields)
    memory.push_back({toAbi(field.name), toAbi(field.value)});
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
  request_.fields = memory.data();
  request_.fields_count = static_cast<std::uint32_t>(memory.size());
}

PolicyQuestion::PolicyQuestion(const KeptRequest &kept) noexcept {
  static_cast<mos_policy_request &>(request_) = kept.get();
  request_.of = this;
}

Verdict &PolicyQuestion::ask(const mos_policy_v1 &policy, std::atomic<std::uint64_t> &failures) {
  request_.answer = &PolicyQuestion::answer;
  answers_ = 0;
  verdict_.clear();
  const mos_status status = policy.check(policy.self, &request_, nullptr);
  if (status == MOS_OK && answers_ == 1 && verdict_.complete()) return verdict_;
  ++failures;
  return verdict_ = Verdict::failed();
}

const mos_policy_request *PolicyQuestion::forDecide() noexcept {
  request_.answer = nullptr;
  return &request_;
}

void PolicyQuestion::answer(const mos_policy_request *request, const mos_policy_verdict *given) {
  PolicyQuestion &self = *static_cast<const Request *>(request)->of;
  if (++self.answers_ != 1 || given == nullptr) return;
  guarded(nullptr, [&] { self.read(*given); });
}

void PolicyQuestion::read(const mos_policy_verdict &given) {
  if (given.struct_size < offsetof(mos_policy_verdict, fields) + sizeof given.fields) return;
  verdict_.status = static_cast<int>(given.status);
  if (given.message.len != 0) verdict_.message = fromAbi(given.message);
  if (given.location.len != 0) verdict_.location = fromAbi(given.location);
  if (given.principal.len != 0) verdict_.principal = fromAbi(given.principal);
  if (given.fields_count > Verdict::kMostFields) return; // how many there really are is anybody's guess
  verdict_.fields.reserve(given.fields_count);
  for (std::uint32_t i = 0; i < given.fields_count; ++i)
    verdict_.fields.emplace_back(fromAbi(given.fields[i].key), fromAbi(given.fields[i].value));
  verdict_.kind = given.verdict; // last: without memory for all of it there is none
}

} // namespace matrixos::proxy
