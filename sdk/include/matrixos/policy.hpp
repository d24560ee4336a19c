/// matrixos/policy.hpp: "matrixos.policy/1" as a plugin provides it. Contract: abi/policy.h.
#pragma once

#include <matrixos/abi/policy.h>
#include <matrixos/call.hpp>
#include <matrixos/header_fields.hpp>
#include <matrixos/json_text.hpp>
#include <matrixos/status.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos {
inline namespace v1 {

/// A verdict on a request. Texts are borrowed.
struct PolicyVerdict {
  using Field = std::pair<std::string_view, std::string_view>;

  std::uint32_t verdict = 0; ///< MOS_VERDICT_…
  unsigned status = 0;
  std::string_view message, location, principal;
  std::vector<Field> fields;

  static PolicyVerdict allow(std::string_view principal = {}, std::vector<Field> fields = {}) {
    return {MOS_VERDICT_ALLOW, 0, {}, {}, principal, std::move(fields)};
  }
  /// `message`: one sentence. `fields`: of the answer, such as WWW-Authenticate.
  static PolicyVerdict deny(unsigned status, std::string_view message, std::vector<Field> fields = {}) {
    return {MOS_VERDICT_DENY, status, message, {}, {}, std::move(fields)};
  }
  static PolicyVerdict redirect(std::string_view location, std::vector<Field> fields = {}) {
    return {MOS_VERDICT_REDIRECT, 0, {}, location, {}, std::move(fields)};
  }
  /// The host calls decide().
  static PolicyVerdict pending() { return {MOS_VERDICT_PENDING, 0, {}, {}, {}, {}}; }

  /// What decide() answers with; not for pending.
  std::string json() const {
    std::string list = "[";
    for (const auto &[name, value] : fields) {
      list += list.size() > 1 ? ",[" : "[";
      appendJsonString(list, name);
      list += ',';
      appendJsonString(list, value);
      list += ']';
    }
    const char *word = verdict == MOS_VERDICT_ALLOW ? "allow" : verdict == MOS_VERDICT_DENY ? "deny" : "redirect";
    JsonObject out;
    out.add("verdict", word).add("status", static_cast<int>(status)).add("message", message).add("location", location);
    return std::move(out.add("principal", principal).addRaw("fields", list + "]")).str();
  }
};

/// A request that asks to pass. A view, good for the call.
class PolicyRequest {
public:
  explicit PolicyRequest(const mos_policy_request *request) noexcept : r_(request) {}

  std::string_view method() const noexcept { return fromAbi(r_->method); }
  std::string_view host() const noexcept { return fromAbi(r_->host); }
  std::string_view handle() const noexcept { return fromAbi(r_->handle); }
  std::string_view path() const noexcept { return fromAbi(r_->path); }
  std::string_view query() const noexcept { return fromAbi(r_->query); }
  std::string_view scheme() const noexcept { return fromAbi(r_->scheme); }
  std::string_view client() const noexcept { return fromAbi(r_->client); }
  std::string_view requestId() const noexcept { return fromAbi(r_->request_id); }
  bool isNavigation() const noexcept { return (r_->flags & MOS_REQUEST_NAVIGATION) != 0; }
  bool isWebSocket() const noexcept { return (r_->flags & MOS_REQUEST_WEBSOCKET) != 0; }
  bool isByPath() const noexcept { return (r_->flags & MOS_REQUEST_BY_PATH) != 0; }
  /// It was allowed before, and its WebSocket or its answer goes on, or it has waited for its instance: a policy that
  /// counts requests counts it once.
  bool isStanding() const noexcept { return (r_->flags & MOS_REQUEST_STANDING) != 0; }

  /// Calls each(name, value) for the header fields as they came, until it answers false.
  template <typename Each>
  void eachField(Each &&each) const {
    detail::eachHeader(r_, std::forward<Each>(each));
  }
  /// The value of the first field of that name, in any case; empty when there is none.
  std::string_view header(std::string_view name) const { return detail::headerOf(r_, name); }

private:
  const mos_policy_request *r_;
};

/// What the provider implements. check() is called for every request on the threads that carry all of them: nothing
/// in it may block, nor decide(), which moves `done` away and answers it later.
class Policy {
public:
  Policy() noexcept {
    table_.struct_size = sizeof table_;
    table_.minor = MOS_POLICY_1_MINOR;
    table_.self = this;
    table_.check = [](void *self, const mos_policy_request *request, mos_error *error) {
      return guarded(error, [&] { answer(request, of(self).check(PolicyRequest(request))); });
    };
    table_.decide = [](void *self, const mos_call *call, const mos_policy_request *request, mos_completion done,
                       mos_error *error) {
      return Completion::command(
          done, error, [&](Completion &later) { of(self).decide(Call(call), PolicyRequest(request), later); });
    };
  }
  Policy(const Policy &) = delete;
  Policy &operator=(const Policy &) = delete;
  virtual ~Policy() = default;

  /// The table to hand to Services::provide(); lives as long as the object.
  const mos_policy_v1 *table() const noexcept { return &table_; }

  /// What it throws denies the request.
  virtual PolicyVerdict check(const PolicyRequest &request) = 0;
  /// After pending(): `done` succeeds with PolicyVerdict::json().
  virtual void decide(const Call &, const PolicyRequest &, Completion &) {
    throw Error(Status::Unimplemented, "the policy decides at once", "UNIMPLEMENTED");
  }

private:
  static Policy &of(void *self) noexcept { return *static_cast<Policy *>(self); }

  static void answer(const mos_policy_request *request, const PolicyVerdict &verdict) {
    std::vector<mos_pair> fields;
    fields.reserve(verdict.fields.size());
    for (const auto &[name, value] : verdict.fields)
      fields.push_back({toAbi(name), toAbi(value)});
    const mos_policy_verdict given{sizeof given,
                                   verdict.verdict,
                                   verdict.status,
                                   static_cast<std::uint32_t>(fields.size()),
                                   toAbi(verdict.message),
                                   toAbi(verdict.location),
                                   toAbi(verdict.principal),
                                   fields.data()};
    request->answer(request, &given);
  }

  mos_policy_v1 table_{};
};

} // namespace v1
} // namespace matrixos
