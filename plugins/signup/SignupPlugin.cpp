/// The plugin's frame.
#include "Commands.h"
#include "Inngest.h"
#include "SignupRoutes.h"
#include "UserEvent.h"
#include "Webhooks.h"

#include <matrixos/audit.hpp>
#include <matrixos/plugin.hpp>
#include <matrixos/signup.hpp>
#include <matrixos/text/time.hpp>
#include <matrixos/ulid.hpp>

#include <memory>
#include <string>

namespace matrixos::signup {
namespace {

constexpr mos_config_key kKeys[] = {
    {"secret", "string", nullptr, nullptr,
     "Signing secret of Clerk's webhook, whsec_…; several, one a line, while one takes another's place.",
     MOS_KEY_SECRET | MOS_KEY_LIVE, 0},
    {"inngest_key", "string", nullptr, nullptr, "Signing key of Inngest, signkey-…; several, one a line.",
     MOS_KEY_SECRET | MOS_KEY_LIVE, 0},
    {"handle_from", "enum", "username", "username|email|id",
     "What a handle is made of first; where that yields nothing, of the next.", MOS_KEY_LIVE, 0},
    {"delete_grace", "duration", "7d", "0s..3650d", "How long the instance of a deleted user is kept.", MOS_KEY_LIVE,
     0},
    {"max_instances", "int", "0", "0..1000000", "Instances of the platform at which sign-ups wait; 0: they never do.",
     MOS_KEY_LIVE, 0},
    {"retry_base", "duration", "5s", "100ms..1h", "Wait before what failed is tried again; doubles each time.",
     MOS_KEY_LIVE, 0},
    {"retry_max", "duration", "15m", "1s..24h", "Longest wait between two tries.", MOS_KEY_LIVE, 0},
    {"reconcile_interval", "duration", "10m", "1s..24h", "How often sign-ups and instances are compared.", 0, 0},
};

constexpr char kEventSchema[] = R"json({
  "type": "object", "required": ["id", "userId", "handle", "wantedHandle", "attempts", "error"],
  "properties": {"id": {"type": "string", "description": "of the sign-up"}, "userId": {"type": "string"},
    "handle": {"type": "string"}, "wantedHandle": {"type": "string"}, "attempts": {"type": "integer", "minimum": 0},
    "error": {"type": "string"}}})json";
constexpr mos_claim kClaims[] = {
    {MOS_CLAIM_TOPIC, "signup.provisioned", kEventSchema, "A user has an instance."},
    {MOS_CLAIM_TOPIC, "signup.failed", kEventSchema, "A user has none yet, or none any more; error says why."},
    {MOS_CLAIM_TOPIC, "signup.deleted", kEventSchema, "A deleted user's instance is gone."},
    {MOS_CLAIM_PATH, "/signups", nullptr, nullptr},
    {MOS_CLAIM_PATH, "/webhooks/clerk", nullptr, nullptr},
};
MOS_DESCRIBE_SERVICE(kSignup, MOS_SIGNUP_1, MOS_SIGNUP_1_MINOR, MOS_FUNCTIONS_OF_SIGNUP_1)
constexpr const mos_service_v1 *kServices[] = {&kSignup};

constexpr mos_provide kProvides[] = {{MOS_SIGNUP_1, "", MOS_SIGNUP_1_MINOR, 0},
                                     {MOS_IDENTITY_1, "signup", MOS_IDENTITY_1_MINOR, 0}};
// Optional: what is delivered while there is no orchestrator is kept for when there is.
constexpr mos_need kNeeds[] = {{MOS_ORCHESTRATOR_1, 0, MOS_NEED_OPTIONAL}, {MOS_AUDIT_1, 0, MOS_NEED_OPTIONAL}};

constexpr std::chrono::seconds kPassEvery{1};

} // namespace

class SignupPlugin final : public Plugin {
public:
  explicit SignupPlugin(const mos_host_v1 *host)
      : config_(host), services_(host), provisioner_(std::make_shared<Provisioner>(
                                            host, orchestrators(), [] { return wallClockMs(); }, audit(host))),
        refusals_(host), webhooks_(host, provisioner_, refusals_), inngest_(host, provisioner_, refusals_),
        routes_(host, provisioner_), timers_(host) {
    table_.struct_size = sizeof table_;
    table_.minor = MOS_SIGNUP_1_MINOR;
    table_.self = this;
    table_.enqueue = [](void *self, const mos_call *, mos_str userId, mos_str email, mos_str username, mos_buf *out,
                        mos_error *error) {
      return guarded(error, [&] {
        giveBuffer(out, static_cast<SignupPlugin *>(self)->enqueue(fromAbi(userId), fromAbi(email), fromAbi(username)));
      });
    };
  }

  void start() override {
    provisioner_->begin();
    reconfigure();
    webhooks_.publish();
    routes_.publish();
    services_.provide(MOS_SIGNUP_1, "", &table_);
    services_.provide(MOS_IDENTITY_1, "signup", inngest_.table());
    timers_.every(kPassEvery, [this] { provisioner_->pass(); });
    timers_.every(config_.getDuration("reconcile_interval"), [this] {
      try {
        provisioner_->reconcile();
      } catch (const Error &) {
        // The orchestrator is away; whoever waits for it is told of by the passes.
      }
    });
  }

  void stop() override {
    timers_.cancelAll();
    provisioner_->end();
  }

  void reconfigure() override {
    webhooks_.setKeys(webhookKeys(config_.secret("secret").reveal()));
    inngest_.setKeys(inngestKeys(config_.secret("inngest_key").reveal()));
    Settings settings;
    settings.handleFrom = config_.getString("handle_from");
    settings.deleteGrace = config_.getDuration("delete_grace");
    settings.maxInstances = config_.getInt("max_instances");
    settings.retryBase = config_.getDuration("retry_base");
    settings.retryMax = config_.getDuration("retry_max");
    provisioner_->configure(std::move(settings));
    provisioner_->kick(); // there may be room now
  }

  static void check(const Config &config, Problems &problems) {
    const auto checkKeys = [&](const char *key, auto &&parse) {
      try {
        parse(config.secret(key).reveal());
      } catch (const Error &error) {
        problems.add(key, error.what());
      }
    };
    checkKeys("secret", webhookKeys);
    checkKeys("inngest_key", inngestKeys);
    if (config.getInt("retry_max") < config.getInt("retry_base"))
      problems.add("retry_max", "is shorter than retry_base");
  }

private:
  Provisioner::Orchestrators orchestrators() const {
    return [services = services_] { return services.lease<mos_orchestrator_v1>(MOS_ORCHESTRATOR_1); };
  }

  static Provisioner::Audit audit(const mos_host_v1 *host) {
    return [logs = AuditLogs(host), log = Log(host)](std::string_view event) {
      if (!logs.note(event)) log.warning("what happened is not in the audit log", {{"event", event}});
    };
  }

  std::string enqueue(std::string_view userId, std::string_view email, std::string_view username) const {
    checkUserId(userId);
    Signup signup;
    signup.id = makeUlid();
    signup.person = {std::string(userId), isAddress(email) ? std::string(email) : std::string(), std::string(username)};
    signup.wantedHandle = wantedHandle(provisioner_->settings().handleFrom, signup.person);
    signup.receivedAt = provisioner_->now();
    provisioner_->store().upsert(nullptr, signup, 0);
    const auto found = provisioner_->store().find(userId);
    if (!found || found->isBuried())
      throw Error(Status::FailedPrecondition, "the provider of identities has deleted this user", "USER_DELETED");
    provisioner_->kick();
    return found->json();
  }

  const Config config_;
  const Services services_;
  const std::shared_ptr<Provisioner> provisioner_;
  Refusals refusals_;
  Webhooks webhooks_;
  Inngest inngest_;
  SignupRoutes routes_;
  mos_signup_v1 table_{};
  Timers timers_; // last: they use all of it
};

} // namespace matrixos::signup

using SignupPlugin = matrixos::signup::SignupPlugin;

MATRIXOS_PLUGIN(SignupPlugin, matrixos::Descriptor("signup", "Sign-up", "1.0.0")
                                  .vendor("Matrix OS")
                                  .license("MIT")
                                  .description("Gives people who sign up an instance, and takes it when they go.")
                                  .provides(matrixos::signup::kProvides)
                                  .services(matrixos::signup::kServices)
                                  .needs(matrixos::signup::kNeeds)
                                  .configKeys(matrixos::signup::kKeys)
                                  .commands(matrixos::signup::kCommands)
                                  .claims(matrixos::signup::kClaims))
