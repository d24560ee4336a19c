#include "Access.h"
#include "ApiIdentity.h"
#include "Codes.h"
#include "ConsoleHost.h"
#include "DeviceFlow.h"
#include "DeviceRoutes.h"
#include "Diary.h"
#include "EdgePolicy.h"
#include "Figures.h"
#include "Migrations.h"
#include "Newcomers.h"
#include "Provider.h"
#include "SectionCheck.h"
#include "SessionRoutes.h"
#include "ShareRoutes.h"
#include "Shares.h"
#include "SignIn.h"
#include "SignInRoutes.h"
#include "TokenRoutes.h"

#include <matrixos/orchestrator.hpp>
#include <matrixos/plugin.hpp>
#include <matrixos/signup.hpp>
#include <matrixos/text/time.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace matrixos::identity {

namespace {

constexpr std::chrono::milliseconds kFlushEvery{1000};
constexpr const char *kNobodySignsUp = "gives nobody an instance: no enabled plugin signs people up";

constexpr mos_config_key kKeys[] = {
    {"mode", "enum", "clerk", "clerk|oidc|none",
     "How people sign in: at Clerk, at any OpenID Connect provider, or not at all: with none everybody is "
     "whoever they say they are, "
     "which is refused while other machines can connect.",
     0, 0},
    {"issuer", "url", "", "https|http",
     "The OpenID Connect provider, as it names itself; http on loopback alone. With clerk, empty: as the publishable "
     "key says.",
     0, 0},
    {"client_id", "string", "", nullptr, "What the OpenID Connect provider knows the platform as.", 0, 0},
    {"client_secret", "string", "", nullptr, "The secret that goes with it; empty: a public client.", MOS_KEY_SECRET,
     0},
    {"scopes", "list", "openid, email, profile", nullptr, "What the OpenID Connect provider is asked for.", 0, 0},
    {"jwks_url", "url", "", "https|http", "Where the provider's keys are; empty: where it says itself.", 0, 0},
    {"jwks_file", "path", "", nullptr, "File with the provider's keys, a JSON Web Key Set, in place of jwks_url.", 0,
     0},
    {"public_key_file", "path", "", nullptr, "PEM file with the provider's one public key, in place of jwks_url.", 0,
     0},
    {"authorized_parties", "list", "", nullptr,
     "Origins whose pages may take tokens of Clerk's; empty: the console's host alone.", 0, 0},
    {"clerk_publishable_key", "string", "", nullptr, "Clerk's publishable key, pk_live_… or pk_test_….", 0, 0},
    {"operators", "list", "", nullptr,
     "Who may do everything: ids of users, verified email addresses, or claim=value of what the provider says.",
     MOS_KEY_LIVE, 0},
    {"email_domains", "list", "", nullptr,
     "Domains of which people need a verified email address to sign in; empty: everybody may.", 0, 0},
    {"allow_sign_up", "bool", "false", nullptr,
     "Whoever signs in for the first time gets an instance, by the plugin that signs people up; with clerk its webhook "
     "says who does.",
     MOS_KEY_LIVE, 0},
    {"session_ttl", "duration", "12h", "1m..8760h", "How long a sign-in lasts. A change counts for new sign-ins.",
     MOS_KEY_LIVE, 0},
    {"idle_ttl", "duration", "2h", "0ms..8760h", "How long a sign-in may be unused; 0ms: any time.", MOS_KEY_LIVE, 0},
    {"public_paths", "list", "", nullptr,
     "Paths of all instances that everybody may see: /about, or /blog/* for what is below.", 0, 0},
};
constexpr mos_provide kProvides[] = {{MOS_POLICY_1, "identity", MOS_POLICY_1_MINOR, 0},
                                     {MOS_IDENTITY_1, "identity", MOS_IDENTITY_1_MINOR, 0}};
constexpr mos_need kNeeds[] = {
    {MOS_ORCHESTRATOR_1, 0, 0}, {MOS_SIGNUP_1, 0, MOS_NEED_OPTIONAL}, {MOS_AUDIT_1, 0, MOS_NEED_OPTIONAL}};
constexpr mos_claim kClaims[] = {
    {MOS_CLAIM_PATH, "//console", nullptr, "The host that people sign in on."},
    {MOS_CLAIM_PATH, "/auth", nullptr, nullptr},
    {MOS_CLAIM_PATH, "/tokens", nullptr, nullptr},
    {MOS_CLAIM_PATH, "/containers/:handle/shares", nullptr, "Whom instances are shared with."},
    {MOS_CLAIM_TABLE, "identity_*", nullptr, "Who is signed in."}};

constexpr mos_command_option kTokenOptions[] = {
    {"scopes", "SCOPES", "what it may do, separated by commas: instances:read,users:read; * is everything",
     MOS_OPTION_BODY | MOS_OPTION_REQUIRED, 0},
    {"ttl", "DURATION", "how long it is good, such as 90d; at most 366d", MOS_OPTION_BODY | MOS_OPTION_REQUIRED, 0}};
constexpr mos_command_option kShareOptions[] = {
    {"user", "USER", "the user's id at the provider", MOS_OPTION_BODY, 0},
    {"email", "EMAIL", "a verified address of the user's", MOS_OPTION_BODY, 0},
    {"role", "ROLE", "use, which is the default, or manage: also starts, stops and reads logs", MOS_OPTION_BODY, 0}};
constexpr mos_command_option kSessionOptions[] = {{"user", "USER", "of that one alone", MOS_OPTION_QUERY, 0}};
constexpr mos_command kCommands[] = {
    Command("sessions list", "Who is signed in", "GET", "/auth/sessions")
        .columns("ID=id USER=userId EMAIL=email KIND=kind SINCE=createdAt:ago USED=usedAt:ago")
        .options(kSessionOptions),
    Command("sessions end", "Ends a session", "DELETE", "/auth/sessions/{ID}")
        .arguments("ID")
        .done("the session {ID} has ended"),
    Command("sessions end-all", "Signs a user out everywhere", "DELETE", "/auth/sessions?user={USER}")
        .arguments("USER")
        .done("{USER} is signed out; sessions ended: {ended}"),
    Command("tokens list", "API tokens, without what opens anything", "GET", "/tokens")
        .columns("ID=id NAME=name SCOPES=scopes BY=createdBy CREATED=createdAt:ago EXPIRES=expiresAt"),
    Command("tokens create", "Makes an API token, which is shown once", "POST", "/tokens")
        .arguments("NAME")
        .body(R"({"name": "{NAME}"})")
        .options(kTokenOptions),
    Command("tokens delete", "Ends an API token", "DELETE", "/tokens/{ID}")
        .arguments("ID")
        .done("{ID} opens nothing any more"),
    Command("shares list", "Whom an instance is shared with", "GET", "/containers/{HANDLE}/shares")
        .arguments("HANDLE")
        .columns("ID=id USER=user EMAIL=email ROLE=role SINCE=createdAt:ago"),
    Command("shares add", "Shares an instance with a user, or with whoever has that email address", "POST",
            "/containers/{HANDLE}/shares")
        .arguments("HANDLE")
        .body("{}")
        .options(kShareOptions)
        .done("{HANDLE} is shared; the share is {id}"),
    Command("shares remove", "Ends a share", "DELETE", "/containers/{HANDLE}/shares/{ID}")
        .arguments("HANDLE ID")
        .done("the share {ID} of {HANDLE} has ended")};

} // namespace

/// The plugin: who is who. Its parts live from start() until destroy, since requests may be inside until then.
class IdentityPlugin final : public Plugin {
public:
  explicit IdentityPlugin(const mos_host_v1 *host)
      : config_(host), log_(host), sql_(host), fetch_(host), services_(host), routes_(host), timers_(host),
        figures_(host), diary_(host),
        hosts_(config_.getString("platform.domain"), config_.getString("platform.console_host")),
        newcomers_(host, access_, [this] { return signsUp(config_); }) {}
  ~IdentityPlugin() override { stopWatching(); }

  static void check(const Config &config, Problems &problems) {
    checkSection(config, problems);
    const std::vector<std::string> services = config.getList("platform.services");
    if (signsUp(config) && std::find(services.begin(), services.end(), MOS_SIGNUP_1) == services.end())
      problems.warn("allow_sign_up", kNobodySignsUp);
  }

  void start() override {
    sql_.migrate(migrations());
    sessions_.load(settings());
    tokens_.load();
    shares_.load();
    const std::string mode = config_.getString("mode");
    provider_ = makeProvider(config_, world());
    signIn_.emplace(*provider_, sessions_, config_.getList("email_domains"));
    pages_.emplace(console_, sessions_, access_, codes_, *signIn_, newcomers_, diary_, log_, mode,
                   clerkFrontend(config_));
    policy_.emplace(hosts_, sessions_, access_, codes_, tokens_, PublicPaths(config_.getList("public_paths")));
    identity_.emplace(hosts_, sessions_, access_, tokens_);
    watchInstances();
    pages_->addTo(routes_);
    deviceRoutes_.addTo(routes_);
    sessionRoutes_.addTo(routes_);
    tokenRoutes_.addTo(routes_);
    shareRoutes_.addTo(routes_);
    routes_.publish();
    timers_.every(kFlushEvery, [this] { flush(); });
    services_.provide(MOS_POLICY_1, "identity", policy_->table());
    services_.provide(MOS_IDENTITY_1, "identity", identity_->table());
    if (mode == "none")
      log_.warning("everybody who reaches this machine may sign in as anybody", {{"key", "identity.mode"}});
    checkSignUp();
  }

  void stop() override {
    services_.withdraw(MOS_POLICY_1, "identity");
    services_.withdraw(MOS_IDENTITY_1, "identity");
    timers_.cancelAll();
    stopWatching();
    flush();
  }

  void reconfigure() override {
    sessions_.configure(settings());
    checkSignUp();
  }

private:
  /// Clerk's webhook says who is new there.
  static bool signsUp(const Config &config) {
    return config.getBool("allow_sign_up") && config.getString("mode") != "clerk";
  }
  void checkSignUp() const {
    if (signsUp(config_) && services_.declared(MOS_SIGNUP_1).empty())
      log_.warning(std::string("allow_sign_up ") + kNobodySignsUp, {{"key", "identity.allow_sign_up"}});
  }

  Sessions::Settings settings() const {
    return {config_.getInt("session_ttl"), config_.getInt("idle_ttl"), Operators(config_.getList("operators"))};
  }

  World world() const {
    World out;
    out.fetch = [this](const FetchRequest &request) { return fetch_.send(request); };
    out.note = [this](std::string_view text) { log_.warning(std::string(text)); };
    return out;
  }

  void flush() {
    if (policy_) figures_.report(sessions_, *signIn_, *policy_);
    sessions_.flush();
    shares_.flush();
  }

  void onRecord(std::string_view json) {
    const InstanceRecord record = InstanceRecord::parse(json);
    access_.apply(record);
    if (record.status == InstanceStatus::Deleted) shares_.forget(record.id);
  }

  void watchInstances() {
    orchestrator_.emplace(services_.acquire<mos_orchestrator_v1>(MOS_ORCHESTRATOR_1));
    const mos_instance_watcher watcher{
        this,
        [](void *ctx, std::uint64_t, mos_str, mos_str record) {
          auto *self = static_cast<IdentityPlugin *>(ctx);
          guarded(nullptr, [&] { self->onRecord(fromAbi(record)); });
        },
        [](void *ctx, std::uint64_t) { static_cast<IdentityPlugin *>(ctx)->access_.synced(); }};
    watch_ = orchestrator_->watch(0, watcher);
  }
  void stopWatching() noexcept {
    if (orchestrator_ && watch_ != 0) orchestrator_->unwatch(std::exchange(watch_, 0));
  }

  const Config config_;
  const Log log_;
  const Sql sql_;
  const Fetch fetch_;
  const Services services_;
  Routes routes_;
  Timers timers_;
  Figures figures_;
  const Diary diary_;
  const Hosts hosts_;
  Sessions sessions_{sql_, wallClockMs};
  const ConsoleHost console_{hosts_, sessions_};
  DeviceFlow devices_{wallClockMs};
  DeviceRoutes deviceRoutes_{console_, sessions_, devices_, diary_};
  ApiTokens tokens_{sql_, wallClockMs};
  TokenRoutes tokenRoutes_{tokens_};
  Access access_;
  const Newcomers newcomers_;
  SessionRoutes sessionRoutes_{console_, sessions_, access_};
  Shares shares_{sql_, access_, wallClockMs};
  ShareRoutes shareRoutes_{shares_};
  Codes codes_;
  std::unique_ptr<SignInProvider> provider_;
  std::optional<SignIn> signIn_;
  std::optional<SignInRoutes> pages_;
  std::optional<EdgePolicy> policy_;
  std::optional<ApiIdentity> identity_;
  std::optional<OrchestratorClient> orchestrator_;
  std::uint64_t watch_ = 0;
};

} // namespace matrixos::identity

using IdentityPlugin = matrixos::identity::IdentityPlugin;

MATRIXOS_PLUGIN(IdentityPlugin, matrixos::Descriptor("identity", "Identity", "1.0.0")
                                    .vendor("Matrix OS")
                                    .license("MIT")
                                    .description("Who is who: signing in, and who reaches which instance.")
                                    .provides(matrixos::identity::kProvides)
                                    .needs(matrixos::identity::kNeeds)
                                    .claims(matrixos::identity::kClaims)
                                    .commands(matrixos::identity::kCommands)
                                    .configKeys(matrixos::identity::kKeys))
