/// PolicyChain.h: the policy stage, who may pass.
#pragma once

#include "PolicyQuestion.h"
#include "Verdict.h"

#include <matrixos/abi/policy.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace matrixos::proxy {

/// The policies that stand between clients and instances, in their order. Immutable; they may come and go behind it,
/// and one that does not answer denies. Called on the threads of the loops.
class PolicyChain {
public:
  /// Requests for which a policy gave no verdict that can be followed.
  struct Failures {
    std::atomic<std::uint64_t> count{0};
    // For who tells the operator.
    std::uint64_t told = 0; ///< of them
    int lately = 0;         ///< in how many more reports it counts as failing
  };
  struct Link {
    std::string id;
    const mos_policy_v1 *table; ///< never null
    std::shared_ptr<Failures> failures = std::make_shared<Failures>();
  };
  using Then = std::function<void(Verdict)>;

  PolicyChain() = default;
  explicit PolicyChain(std::vector<Link> links) : links_(std::move(links)) {}

  const std::vector<Link> &links() const noexcept { return links_; }

  /// What the policy with that number says at once; MOS_VERDICT_PENDING when decide() has to be asked. Good until the
  /// next is asked.
  Verdict &check(std::size_t link, PolicyQuestion &question) const;
  /// Asks it to find out. `then` is called exactly once, on any thread, perhaps before this returns.
  void decide(std::size_t link, PolicyQuestion &question, std::chrono::milliseconds patience, Then then) const;

private:
  std::vector<Link> links_;
};

} // namespace matrixos::proxy
