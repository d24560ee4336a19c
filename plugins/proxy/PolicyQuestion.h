#pragma once

#include "HeaderPolicy.h"
#include "HostRouter.h"
#include "Verdict.h"

#include <matrixos/abi/policy.h>

#include <http/codec/Head.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace matrixos::proxy {

/// A request as policies see it, copied: it outlives the head.
class KeptRequest {
public:
  explicit KeptRequest(const mos_policy_request &request);
  KeptRequest(const KeptRequest &) = delete;
  KeptRequest &operator=(const KeptRequest &) = delete;

  const mos_policy_request &get() const noexcept { return request_; }

private:
  mos_policy_request request_;
  std::vector<mos_pair> fields_;
  std::string texts_;
};

/// A request as policies see it, and what one of them says of it. A view: what it is made of outlives it.
class PolicyQuestion {
public:
  /// `memory`: for as long as the question, and then for the next.
  PolicyQuestion(const http::RequestHead &head, const RoutingDecision &decision, const ClientFacts &client,
                 std::vector<mos_pair> &memory);
  explicit PolicyQuestion(const KeptRequest &kept) noexcept;
  PolicyQuestion(const PolicyQuestion &) = delete;
  PolicyQuestion &operator=(const PolicyQuestion &) = delete;

  /// What the policy says at once, until the next is asked; a denial when that is nothing that can be followed, which
  /// is counted.
  Verdict &ask(const mos_policy_v1 &policy, std::atomic<std::uint64_t> &failures);
  /// For its decide(), which answers otherwise.
  const mos_policy_request *forDecide() noexcept;
  /// The request was allowed and goes on.
  void stands() noexcept { request_.flags |= MOS_REQUEST_STANDING; }

private:
  struct Request : mos_policy_request {
    PolicyQuestion *of;
  };

  static void answer(const mos_policy_request *request, const mos_policy_verdict *given);
  void read(const mos_policy_verdict &given);

  Request request_{};
  int answers_ = 0;
  Verdict verdict_;
};

} // namespace matrixos::proxy
