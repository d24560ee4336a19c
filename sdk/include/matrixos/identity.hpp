/// matrixos/identity.hpp: "matrixos.identity/1" as a plugin provides it. Contract: abi/identity.h.
#pragma once

#include <matrixos/abi/identity.h>
#include <matrixos/call.hpp>
#include <matrixos/header_fields.hpp>
#include <matrixos/json_text.hpp>
#include <matrixos/status.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace matrixos {
inline namespace v1 {

/// What roles are called in JSON, by MOS_ROLE_….
inline constexpr std::array<std::string_view, 4> kRoleWords{"none", "use", "manage", "owner"};

/// "none" for a number that is no role.
constexpr std::string_view roleWord(std::uint32_t role) noexcept {
  return kRoleWords[role < kRoleWords.size() ? role : MOS_ROLE_NONE];
}
/// MOS_ROLE_NONE for a word that is no role.
constexpr std::uint32_t roleNamed(std::string_view word) noexcept {
  for (std::uint32_t role = 0; role < kRoleWords.size(); ++role)
    if (kRoleWords[role] == word) return role;
  return MOS_ROLE_NONE;
}

/// Whether a list of scopes, separated by blanks, has that one or "*".
constexpr bool hasScope(std::string_view scopes, std::string_view wanted) noexcept {
  while (!scopes.empty()) {
    const std::size_t blank = scopes.find(' ');
    const std::string_view scope = scopes.substr(0, blank);
    if (scope == "*" || scope == wanted) return true;
    scopes.remove_prefix(blank == std::string_view::npos ? scopes.size() : blank + 1);
  }
  return false;
}

/// Who sends a request. Texts are borrowed.
struct Principal {
  std::uint32_t kind = MOS_PRINCIPAL_UNKNOWN; ///< MOS_PRINCIPAL_…
  std::uint32_t role = MOS_ROLE_NONE;         ///< MOS_ROLE_…
  unsigned status = 0;
  std::string_view id, scopes, message;
  std::string_view shares{}; ///< of a user, as JSON: {"bob": "use"}, the instances that others share; may be empty
  std::string_view reason{}; ///< of a refusal: a word for programs, "BAD_SIGNATURE"; may be empty

  static Principal unknown() { return {}; }
  /// `role`: what the user may do with the request's handle.
  static Principal user(std::string_view id, std::uint32_t role, std::string_view shares = {}) {
    return {MOS_PRINCIPAL_USER, role, 0, id, {}, {}, shares};
  }
  static Principal operatorWith(std::string_view id, std::string_view scopes) {
    return {MOS_PRINCIPAL_OPERATOR, 0, 0, id, scopes, {}};
  }
  static Principal instance(std::string_view id) { return {MOS_PRINCIPAL_INSTANCE, 0, 0, id, {}, {}}; }
  static Principal refused(unsigned status, std::string_view message, std::string_view reason = {}) {
    return {MOS_PRINCIPAL_REFUSED, 0, status, {}, {}, message, {}, reason};
  }
  /// The host calls findOut().
  static Principal pending() { return {MOS_PRINCIPAL_PENDING, 0, 0, {}, {}, {}}; }
  /// A signature over the body vouches for it: the host calls identify() again with that. Not where it has been.
  static Principal signedBody() { return {MOS_PRINCIPAL_SIGNED, 0, 0, {}, {}, {}}; }

  /// What identify() of the table answers with. Borrows the texts.
  mos_principal abi() const noexcept {
    return {sizeof(mos_principal), kind,           role,          status,       toAbi(id),
            toAbi(scopes),         toAbi(message), toAbi(shares), toAbi(reason)};
  }
  /// What findOut() answers with; neither for pending() nor for signedBody().
  std::string json() const {
    constexpr std::array<const char *, 5> kKinds{"unknown", "user", "operator", "instance", "refused"};
    JsonObject out;
    out.add("kind", kKinds[kind % kKinds.size()]).add("role", roleWord(role));
    out.add("status", static_cast<int>(status)).add("id", id).add("scopes", scopes);
    if (!shares.empty()) out.addRaw("shares", shares);
    if (!reason.empty()) out.add("reason", reason);
    return std::move(out.add("message", message)).str();
  }
};

/// A request to the API. A view, good for the call.
class IdentityRequest {
public:
  explicit IdentityRequest(const mos_identity_request *request) noexcept : r_(request) {}

  std::string_view method() const noexcept { return fromAbi(r_->method); }
  std::string_view host() const noexcept { return fromAbi(r_->host); }
  std::string_view path() const noexcept { return fromAbi(r_->path); }
  std::string_view permission() const noexcept { return fromAbi(r_->permission); }
  std::string_view handle() const noexcept { return fromAbi(r_->handle); }
  std::string_view requestId() const noexcept { return fromAbi(r_->request_id); }
  /// The value of the first field of that name, in any case; empty when there is none.
  std::string_view header(std::string_view name) const { return detail::headerOf(r_, name); }
  /// Whether the body is there: after Principal::signedBody().
  bool hasBody() const noexcept { return MOS_HAS(r_, mos_identity_request, has_body); }
  /// As it came; empty unless it is there.
  std::string_view body() const noexcept { return hasBody() ? fromAbi(r_->body) : std::string_view(); }

private:
  const mos_identity_request *r_;
};

/// What the provider implements. Called on a few threads of the host's, several of them at once: nothing in it may
/// block, nor in findOut(), which moves `done` away and answers it later. While a call does, requests get 503.
class Identity {
public:
  Identity() noexcept {
    table_.struct_size = sizeof table_;
    table_.minor = MOS_IDENTITY_1_MINOR;
    table_.self = this;
    table_.identify = [](void *self, const mos_identity_request *request, mos_error *error) {
      return guarded(error, [&] {
        const mos_principal given = of(self).identify(IdentityRequest(request)).abi();
        request->answer(request, &given);
      });
    };
    table_.find_out = [](void *self, const mos_call *call, const mos_identity_request *request, mos_completion done,
                         mos_error *error) {
      return Completion::command(
          done, error, [&](Completion &later) { of(self).findOut(Call(call), IdentityRequest(request), later); });
    };
  }
  Identity(const Identity &) = delete;
  Identity &operator=(const Identity &) = delete;
  virtual ~Identity() = default;

  /// The table to hand to Services::provide(); lives as long as the object.
  const mos_identity_v1 *table() const noexcept { return &table_; }

  /// What it throws refuses the request.
  virtual Principal identify(const IdentityRequest &request) = 0;
  /// After pending(): `done` succeeds with Principal::json().
  virtual void findOut(const Call &, const IdentityRequest &, Completion &) {
    throw Error(Status::Unimplemented, "the provider knows at once", "UNIMPLEMENTED");
  }

private:
  static Identity &of(void *self) noexcept { return *static_cast<Identity *>(self); }

  mos_identity_v1 table_{};
};

} // namespace v1
} // namespace matrixos
