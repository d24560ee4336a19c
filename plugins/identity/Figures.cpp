#include "Figures.h"

namespace matrixos::identity {

Figures::Figures(const mos_host_v1 *host) {
  const Metrics metrics(host);
  sessions_ = metrics.gauge("matrixos_identity_sessions", "Sessions, those that nobody uses included.");
  for (std::size_t i = 0; i < signIns_.size(); ++i)
    signIns_[i].series =
        metrics.counter("matrixos_identity_sign_ins_total", "Sign-ins that came back from the provider by result.",
                        {{"result", SignIn::kEndNames[i]}});
  for (std::size_t i = 0; i < refusals_.size(); ++i)
    refusals_[i].series =
        metrics.counter("matrixos_identity_refusals_total", "Requests to instances that were refused by reason.",
                        {{"reason", EdgePolicy::kRefusalNames[i]}});
}

void Figures::report(const Sessions &sessions, const SignIn &signIn, const EdgePolicy &policy) {
  sessions_.set(static_cast<double>(sessions.table().size()));
  for (std::size_t i = 0; i < signIns_.size(); ++i)
    signIns_[i].tell(signIn.ended(static_cast<SignIn::End>(i)));
  for (std::size_t i = 0; i < refusals_.size(); ++i)
    refusals_[i].tell(policy.refusals(static_cast<EdgePolicy::Refusal>(i)));
}

} // namespace matrixos::identity
