/// The plugin's frame: the service, the routes and the commands around the log.
#include "AuditRoutes.h"
#include "Store.h"
#include "Writer.h"

#include <matrixos/audit.hpp>
#include <matrixos/json_text.hpp>
#include <matrixos/plugin.hpp>

#include <optional>
#include <string>
#include <utility>

namespace matrixos::audit {
namespace {

constexpr const char *kInstance = "audit";

constexpr mos_config_key kKeys[] = {
    {"keep", "duration", "400d", "1d..36500d", "How long records are kept.", MOS_KEY_LIVE, 0},
    {"head_file", "path", "<data_dir>/audit.head", nullptr,
     "File that says which record stands last. On another disk it tells more.", 0, 0},
    {"strangers", "int", "60", "0..100000",
     "Records a minute about people that nobody knows; further ones are counted, and the count is recorded.",
     MOS_KEY_LIVE, 0},
    {"reads_every", "duration", "1m", "0ms..24h",
     "How often it is recorded that an operator reads the same of the same instance.", MOS_KEY_LIVE, 0},
};
constexpr mos_provide kProvides[] = {{MOS_AUDIT_1, kInstance, MOS_AUDIT_1_MINOR, 0}};
constexpr mos_claim kClaims[] = {{MOS_CLAIM_TABLE, "audit_*", nullptr, "What people did."},
                                 {MOS_CLAIM_PATH, "/audit", nullptr, nullptr}};

constexpr mos_command_option kListOptions[] = {
    {"actor", "PRINCIPAL", "what they did: user:2abc, uid:0", MOS_OPTION_QUERY, 0},
    {"handle", "HANDLE", "about this instance", MOS_OPTION_QUERY, 0},
    {"action", "ACTION", "this action; with a * at its end, those that begin so", MOS_OPTION_QUERY, 0},
    {"since", "TIME", "2026-11-23T15:04:05Z, or 24h, 7d", MOS_OPTION_QUERY, 0},
    {"limit", "N", "at most so many, 100 if not said", MOS_OPTION_QUERY | MOS_OPTION_NUMBER, 0},
    {"before", "SEQ", "older than this record", MOS_OPTION_QUERY | MOS_OPTION_NUMBER, 0}};
constexpr mos_command_option kVerifyOptions[] = {{"from", "SEQ",
                                                  "begin with this record, given that the one before it is right",
                                                  MOS_OPTION_QUERY | MOS_OPTION_NUMBER, 0}};
constexpr mos_command_option kExportOptions[] = {
    {"since", "TIME", "2026-11-23T15:04:05Z, or 24h, 7d", MOS_OPTION_QUERY, 0}};
constexpr mos_command kCommands[] = {
    Command("audit list", "What people did, newest first", "GET", "/audit")
        .columns("records[] SEQ=seq TIME=time WHO=principal ADDRESS=address ACTION=action HANDLE=handle STATUS=status "
                 "BEFORE=before AFTER=after REQUEST=requestId")
        .options(kListOptions),
    Command("audit verify", "Whether the audit log is as it was written", "GET", "/audit/verify")
        .options(kVerifyOptions)
        .takesLong()
        .done("{rows} records are as they were written; the last is {seq}, {hash}"),
    Command("audit export", "The audit log, oldest first, one JSON object a line", "GET", "/audit/export")
        .options(kExportOptions)
        .streams()};

class AuditPlugin final : public Plugin, private Audit {
public:
  explicit AuditPlugin(const mos_host_v1 *host) : host_(host), config_(host), services_(host), store_(host) {}

  void start() override {
    store_.migrate();
    writer_.emplace(host_, store_, HeadFile(config_.getString("head_file")));
    writer_->start(settings());
    routes_.emplace(host_, store_, *writer_);
    routes_->publish();
    tell("audit started");
    services_.provide(MOS_AUDIT_1, kInstance, table());
  }

  void stop() override {
    services_.withdraw(MOS_AUDIT_1, kInstance);
    if (!writer_) return;
    tell("audit stopped");
    writer_->stop();
  }

  void reconfigure() override { writer_->configure(settings()); }

private:
  void record(const Call &, std::string_view event, Completion &done) override { writer_->take(event, &done); }
  void note(std::string_view event) override { writer_->take(event); }

  /// It shows when nothing was recorded, and that somebody has switched the log off.
  void tell(const char *what) {
    guarded(nullptr, [&] {
      JsonObject event;
      writer_->take(std::move(event.add("action", what).add("source", kSource).add("principal", "platform")).str());
    });
  }

  Writer::Settings settings() const {
    return {config_.getDuration("keep"), {config_.getInt("strangers"), config_.getDuration("reads_every")}};
  }

  const mos_host_v1 *host_;
  const Config config_;
  const Services services_;
  const Store store_;
  std::optional<Writer> writer_;
  std::optional<AuditRoutes> routes_; // outlives the requests: it goes with the plugin, after stop()
};

} // namespace
} // namespace matrixos::audit

MATRIXOS_PLUGIN(matrixos::audit::AuditPlugin,
                matrixos::Descriptor("audit", "Audit log", "1.0.0")
                    .vendor("Matrix OS")
                    .license("MIT")
                    .description("Keeps what people did in a log that nobody changes unseen.")
                    .provides(matrixos::audit::kProvides)
                    .configKeys(matrixos::audit::kKeys)
                    .commands(matrixos::audit::kCommands)
                    .claims(matrixos::audit::kClaims))
