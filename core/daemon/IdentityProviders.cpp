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
/// For calls that are inside at the end, and must not block.
constexpr std::chrono::seconds kAnswerTime{1};
constexpr std::size_t kMostText = 4096;
constexpr std::size_t kMostReason = 64;
/// Others fill that list; where it is longer, lists show the user's own instances alone.
constexpr std::size_t kMostShares = std::size_t{64} * 1024;

common::ExecutorOptions executorOptions() {
  common::ExecutorOptions options;
  // One is cheapest, and what is called comes back at once; one that does not is given up, and replaced.
  options.name = "identity";
  options.threads = 1;
  return options;
}

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

/// Text that is borrowed from one place, which outlives whoever lent it.
class Texts {
public:
  explicit Texts(std::size_t size) { text_.reserve(size); }
  mos_str keep(std::string_view text) {
    const char *const at = text_.data() + text_.size();
    text_ += text; // there is room
    return {at, text.size()};
  }

private:
  std::string text_;
};

std::size_t sizeOf(const auth::IdentityQuestion &question) {
  std::size_t size = question.method.size() + question.host.size() + question.path.size() + question.permission.size() +
                     question.handle.size() + question.requestId.size() + question.body.value_or("").size();
  for (const mos_pair &field : question.fields)
    size += field.key.len + field.value.len;
  return size;
}

} // namespace

/// A question as providers see it, and what they say. Its own: a provider that hangs may look at it after everybody
/// else has gone.
class IdentityProviders::Asked {
public:
  Asked(const auth::IdentityQuestion &question, std::shared_ptr<const Tables::List> tables,
        std::shared_ptr<HangingCalls> calls, Then then)
      : tables_(std::move(tables)), calls_(std::move(calls)), then_(std::move(then)), signedBy_(question.signedBy),
        fields_(question.fields), texts_(sizeOf(question)) {
    request_.of = this;
    request_.struct_size = sizeof(mos_identity_request);
    request_.method = texts_.keep(question.method);
    request_.host = texts_.keep(question.host);
    request_.path = texts_.keep(question.path);
    request_.permission = texts_.keep(question.permission);
    request_.handle = texts_.keep(question.handle);
    request_.request_id = texts_.keep(question.requestId);
    for (mos_pair &field : fields_)
      field = {texts_.keep(fromAbi(field.key)), texts_.keep(fromAbi(field.value))};
    request_.fields = fields_.data();
    request_.fields_count = static_cast<std::uint32_t>(fields_.size());
    request_.has_body = question.body ? 1 : 0;
    request_.body = texts_.keep(question.body.value_or(""));
  }
  Asked(const Asked &) = delete;
  Asked &operator=(const Asked &) = delete;

  HangingCalls::Caller ticket{0}; ///< of its task

  /// On a thread of its own, where providers may hang.
  void run() {
    for (const auto &[instance, table] : *tables_) {
      if (request_.has_body != 0 && instance != signedBy_) continue;
      bool known = true;
      if (!calls_->make({tables_, table}, ticket, [&] { known = ask(instance, *table); })) return refuse();
      if (known) return;
    }
    then_(Identity{});
  }
  void refuse() const { then_(unavailable()); }

private:
  struct Request : mos_identity_request {
    Asked *of;
  };

  /// False when the provider does not know; else `then_` is called, now or later.
  bool ask(const std::string &instance, const mos_identity_v1 &table) {
    request_.answer = &Asked::answer;
    answers_ = 0;
    sane_ = pending_ = false;
    const mos_status status = table.identify(table.self, &request_, nullptr);
    request_.answer = nullptr;
    if (status != MOS_OK || answers_ != 1 || !sane_) {
      refuse();
    } else if (pending_) {
      findOut(table);
    } else if (who_.kind == Identity::Kind::Unknown) {
      return false;
    } else {
      if (who_.kind == Identity::Kind::Signed) who_.id = instance;
      then_(std::move(who_));
    }
    return true;
  }

  void findOut(const mos_identity_v1 &table) {
    const CallScope call(kFindOutTime);
    const auto finish = [then = then_](const Outcome &outcome) {
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
      std::string shares(fromAbi(given.shares));
      const json::Object::Ptr object = json::parseObject(shares);
      takeShares(who_, std::move(shares), *object);
    }
    if (MOS_HAS(&given, mos_principal, reason.ptr)) who_.reason = fromAbi(given.reason);
    sane_ = isSane(who_);
  }

  const std::shared_ptr<const Tables::List> tables_;
  const std::shared_ptr<HangingCalls> calls_;
  const Then then_;
  const std::string signedBy_;
  std::vector<mos_pair> fields_;
  Texts texts_;
  Request request_{};
  int answers_ = 0;
  bool sane_ = false, pending_ = false;
  Identity who_;
};

IdentityProviders::IdentityProviders(plugin::ServiceRegistry &services)
    : tables_(services, MOS_IDENTITY_1, "core#0"), executor_(executorOptions()) {}

void IdentityProviders::close() {
  executor_.stop(kAnswerTime);
  tables_.close(kFindOutTime);
}

void IdentityProviders::giveUpHanging() {
  for (const common::Executor::Ticket ticket : calls_->callers())
    executor_.abandon(ticket);
}

std::optional<Identity> IdentityProviders::identify(const auth::IdentityQuestion &question,
                                                    const std::function<Then()> &later) {
  giveUpHanging();
  auto tables = tables_.get();
  if (tables->empty()) return Identity{};
  const auto asked = std::make_shared<Asked>(question, std::move(tables), calls_, later());
  try {
    asked->ticket = executor_.submit(
        common::kCoreOwner, [asked] { asked->run(); }, [asked] { asked->refuse(); });
  } catch (const Error &) { // too many wait, or it ends
    asked->refuse();
  }
  return {};
}

} // namespace matrixos::daemon
