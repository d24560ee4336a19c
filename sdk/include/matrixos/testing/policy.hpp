/// matrixos/testing/policy.hpp: asks a matrixos.policy/1 in a test, as the proxy does.
///
///     const auto policy = host.lease<mos_policy_v1>(MOS_POLICY_1, "doorman");
///     PolicyQuestion question;
///     question.fields = {{"x-word", "sesame"}};
///     CHECK(checkPolicy(*policy, question).verdict == MOS_VERDICT_ALLOW);
#pragma once

#include <matrixos/abi/policy.h>
#include <matrixos/call.hpp>
#include <matrixos/testing.hpp>

#include <chrono>
#include <cstdint>
#include <future>
#include <string>
#include <utility>
#include <vector>

namespace matrixos {
inline namespace v1 {
namespace testing {

/// A request to an instance. Names of fields in lower case, as most clients send them.
struct PolicyQuestion {
  std::string method = "GET", host = "alice.localhost", handle = "alice", path = "/", query, scheme = "http",
              client = "127.0.0.1", requestId = "test";
  Fields fields;
  std::uint32_t flags = 0; ///< MOS_REQUEST_…
};

/// What the policy says at once.
struct PolicyAnswer {
  std::uint32_t verdict = 0; ///< MOS_VERDICT_…
  unsigned status = 0;
  std::string message, location, principal;
  Fields fields;
};

namespace detail {

/// The question in the form of the ABI, and where the answer goes.
struct AskedPolicy : mos_policy_request {
  explicit AskedPolicy(const PolicyQuestion &from) : mos_policy_request{} {
    struct_size = sizeof(mos_policy_request);
    flags = from.flags;
    method = toAbi(from.method);
    host = toAbi(from.host);
    handle = toAbi(from.handle);
    path = toAbi(from.path);
    query = toAbi(from.query);
    scheme = toAbi(from.scheme);
    client = toAbi(from.client);
    request_id = toAbi(from.requestId);
    for (const auto &[name, value] : from.fields)
      pairs.push_back({toAbi(name), toAbi(value)});
    fields = pairs.data();
    fields_count = static_cast<std::uint32_t>(pairs.size());
  }

  std::vector<mos_pair> pairs;
  mutable PolicyAnswer given;
  mutable int answers = 0;
};

} // namespace detail

/// Calls check(). Throws Error when it fails, and Error(Internal) when it does not answer exactly once.
inline PolicyAnswer checkPolicy(const mos_policy_v1 &policy, const PolicyQuestion &question) {
  detail::AskedPolicy asked(question);
  asked.answer = [](const mos_policy_request *request, const mos_policy_verdict *verdict) {
    const auto *self = static_cast<const detail::AskedPolicy *>(request);
    ++self->answers;
    self->given = {verdict->verdict,
                   verdict->status,
                   std::string(fromAbi(verdict->message)),
                   std::string(fromAbi(verdict->location)),
                   std::string(fromAbi(verdict->principal)),
                   detail::toFields(verdict->fields, verdict->fields_count)};
  };
  check([&](mos_error *error) { return policy.check(policy.self, &asked, error); });
  if (asked.answers != 1)
    throw Error(Status::Internal, "the policy answered " + std::to_string(asked.answers) + " times");
  return std::move(asked.given);
}

/// Calls decide(), as the host does after MOS_VERDICT_PENDING, and waits for its JSON. Throws Error when it fails.
inline std::string decidePolicy(const mos_policy_v1 &policy, const PolicyQuestion &question,
                                std::chrono::milliseconds patience = std::chrono::seconds{10}) {
  const detail::AskedPolicy asked(question);
  const CallScope call(patience);
  std::promise<std::string> promise;
  withCompletion(
      [&](const Outcome &outcome) {
        if (outcome.error == nullptr)
          promise.set_value(std::string(outcome.json));
        else
          promise.set_exception(std::make_exception_ptr(*outcome.error));
      },
      [&](mos_completion done, mos_error *error) {
        return policy.decide(policy.self, call.abi(), &asked, done, error);
      });
  return promise.get_future().get();
}

} // namespace testing
} // namespace v1
} // namespace matrixos
