#include "daemon/IdentityProviders.h"

#include <matrixos/call.hpp>
#include <matrixos/handle.hpp>
#include <matrixos/identity.hpp>
#include <matrixos/json.hpp>
#include <matrixos/status.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace matrixos::daemon {

namespace {

using auth::Identity;

/// The host's grace comes on top.
constexpr std::chrono::milliseconds kFindOutTime{10000};
constexpr std::size_t kMostText = 4096;
constexpr std::size_t kMostReason = 64;
/// Others fill that list; where it is longer, lists show the user's own instances alone.
constexpr std::size_t kMostShares = std::size_t{64} * 1024;

Identity unavailable() {
  Identity who;
  who.kind = Identity::Kind::Refused;
  who.status = 503;
  who.message = "who asks cannot be found out right now; try again";
  return who;
}

Identity::Role roleOf(std::uint32_t role) {
  return role > MOS_ROLE_OWNER ? Identity::Role::None : static_cast<Identity::Role>(role);
}

/// Of MOS_PRINCIPAL_…; nothing for a number that is none.
std::optional<Identity::Kind> kindOf(std::uint32_t kind) {
  switch (kind) {
  case MOS_PRINCIPAL_UNKNOWN:
    return Identity::Kind::Unknown;
  case MOS_PRINCIPAL_USER:
    return Identity::Kind::User;
  case MOS_PRINCIPAL_OPERATOR:
    return Identity::Kind::Operator;
  case MOS_PRINCIPAL_INSTANCE:
    return Identity::Kind::Instance;
  case MOS_PRINCIPAL_REFUSED:
    return Identity::Kind::Refused;
  case MOS_PRINCIPAL_SIGNED:
    return Identity::Kind::Signed;
  default:
    return {};
  }
}

/// {"bob": "use"}. Throws Error or Poco::Exception for what is none.
void takeShares(Identity &who, std::string text, const json::Object &object) {
  for (const auto &[handle, role] : object) {
    if (!isHandle(handle) || (role != "use" && role != "manage")) throw Error(Status::Internal, "a share that is none");
  }
  who.shares = std::move(text);
}

bool isWord(const std::string &reason) {
  return reason.size() <= kMostReason && std::all_of(reason.begin(), reason.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
         });
}

bool isSane(const Identity &who) {
  const bool named = (who.kind != Identity::Kind::User && who.kind != Identity::Kind::Operator &&
                      who.kind != Identity::Kind::Instance) ||
                     !who.id.empty();
  const auto plain = [](const std::string &text) {
    return std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; });
  };
  return named && who.id.size() + who.scopes.size() + who.message.size() <= kMostText && plain(who.id) &&
         plain(who.scopes) && plain(who.message) && isWord(who.reason);
}

Identity parseIdentity(std::string_view text) {
  constexpr std::array<std::string_view, 5> kKinds{"unknown", "user", "operator", "instance", "refused"};
  const json::Object::Ptr object = json::parseObject(text);
  const auto word = std::find(kKinds.begin(), kKinds.end(), json::getString(*object, "kind"));
  const auto kind = kindOf(static_cast<std::uint32_t>(word - kKinds.begin()));
  if (!kind) throw Error(Status::Internal, "a principal of no known kind");
  Identity who;
  who.kind = *kind;
  who.role = roleOf(roleNamed(json::findString(*object, "role").value_or("none")));
  who.status = static_cast<int>(json::getInt(*object, "status", 401));
  who.id = json::findString(*object, "id").value_or("");
  who.scopes = json::findString(*object, "scopes").value_or("");
  who.message = json::findString(*object, "message").value_or("");
  who.reason = json::findString(*object, "reason").value_or("");
  if (const json::Object::Ptr shares = json::findObject(*object, "shares")) {
    std::string dumped = json::dump(shares);
    if (dumped.size() <= kMostShares) takeShares(who, std::move(dumped), *shares);
  }
  return who;
}

/// A question as providers see it, and what they say.
class Asked {
public:
  explicit Asked(const auth::IdentityQuestion &question) {
    request_.of = this;
    request_.struct_size = sizeof(mos_identity_request);
    request_.method = toAbi(question.method);
    request_.host = toAbi(question.host);
    request_.path = toAbi(question.path);
    request_.permission = toAbi(question.permission);
    request_.handle = toAbi(question.handle);
    request_.request_id = toAbi(question.requestId);
    request_.fields = question.fields.data();
    request_.fields_count = static_cast<std::uint32_t>(question.fields.size());
    request_.has_body = question.body ? 1 : 0;
    request_.body = toAbi(question.body.value_or(""));
  }

  /// Nothing when the provider has to find out.
  std::optional<Identity> ask(const mos_identity_v1 &table) {
    request_.answer = &Asked::answer;
    answers_ = 0;
    sane_ = pending_ = false;
    const mos_status status = table.identify(table.self, &request_, nullptr);
    request_.answer = nullptr;
    if (status != MOS_OK || answers_ != 1 || !sane_) return unavailable();
    if (pending_) return {};
    return std::move(who_);
  }

  void findOut(const mos_identity_v1 &table, auth::Identities::Then then) {
    const CallScope call(kFindOutTime);
    const auto finish = [then = std::move(then)](const Outcome &outcome) {
      Identity who = unavailable();
      try {
        if (outcome.error == nullptr) who = parseIdentity(outcome.json);
      } catch (const std::exception &) { // it said what nobody understands
        who = unavailable();
      }
      then(isSane(who) ? std::move(who) : unavailable());
    };
    withCompletion(finish, [&](mos_completion done, mos_error *error) {
      return table.find_out(table.self, call.abi(), &request_, done, error);
    });
  }

private:
  struct Request : mos_identity_request {
    Asked *of;
  };

  static void answer(const mos_identity_request *request, const mos_principal *given) {
    Asked &self = *static_cast<const Request *>(request)->of;
    if (++self.answers_ == 1 && given != nullptr) guarded(nullptr, [&] { self.read(*given); });
  }

  void read(const mos_principal &given) {
    if (given.struct_size < offsetof(mos_principal, message) + sizeof given.message) return;
    pending_ = given.kind == MOS_PRINCIPAL_PENDING;
    const auto kind = kindOf(given.kind);
    if (!kind && !pending_) return;
    who_ = {kind.value_or(Identity::Kind::Unknown), roleOf(given.role),
            static_cast<int>(given.status),         std::string(fromAbi(given.id)),
            std::string(fromAbi(given.scopes)),     {},
            std::string(fromAbi(given.message))};
    if (MOS_HAS(&given, mos_principal, shares.ptr) && given.shares.len <= kMostShares && given.shares.len != 0) {
      const std::string shares(fromAbi(given.shares));
      takeShares(who_, shares, *json::parseObject(shares));
    }
    if (MOS_HAS(&given, mos_principal, reason.ptr)) who_.reason = fromAbi(given.reason);
    sane_ = isSane(who_);
  }

  Request request_{};
  int answers_ = 0;
  bool sane_ = false, pending_ = false;
  Identity who_;
};

} // namespace

IdentityProviders::IdentityProviders(plugin::ServiceRegistry &services) : tables_(services, MOS_IDENTITY_1, "core#0") {}

void IdentityProviders::close() {
  tables_.close(kFindOutTime);
}

std::optional<Identity> IdentityProviders::identify(const auth::IdentityQuestion &question,
                                                    const std::function<Then()> &later) {
  const auto tables = tables_.get();
  Asked asked(question);
  for (const auto &[instance, table] : *tables) {
    if (question.body && instance != question.signedBy) continue;
    auto who = asked.ask(*table);
    if (!who) {
      asked.findOut(*table, later());
      return {};
    }
    if (who->kind == Identity::Kind::Signed) who->id = instance;
    if (who->kind != Identity::Kind::Unknown) return who;
  }
  return Identity{};
}

} // namespace matrixos::daemon
