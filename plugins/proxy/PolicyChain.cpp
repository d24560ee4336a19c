#include "PolicyChain.h"

#include <matrixos/call.hpp>

#include <exception>

namespace matrixos::proxy {

Verdict &PolicyChain::check(std::size_t link, PolicyQuestion &question) const {
  return question.ask(*links_[link].table, links_[link].failures->count);
}

void PolicyChain::decide(std::size_t link, PolicyQuestion &question, std::chrono::milliseconds patience,
                         Then then) const {
  const Link &asked = links_[link];
  const CallScope call(patience);
  const auto finish = [failures = asked.failures, then = std::move(then)](const Outcome &outcome) {
    Verdict said;
    try {
      if (outcome.error == nullptr) said = Verdict::parse(std::string(outcome.json));
    } catch (const std::exception &) { // it said what nobody understands
      said.kind = 0;
    }
    if (said.complete()) return then(std::move(said));
    ++failures->count;
    then(Verdict::failed());
  };
  withCompletion(finish, [&](mos_completion done, mos_error *error) {
    return asked.table->decide(asked.table->self, call.abi(), question.forDecide(), done, error);
  });
}

} // namespace matrixos::proxy
