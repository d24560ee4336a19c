#include "SocialApi.h"

#include <matrixos/orchestrator.hpp>
#include <matrixos/platform_secret.hpp>
#include <matrixos/plugin.hpp>

#include <http/codec/Problem.h>

#include <memory>
#include <string>

namespace matrixos::social {

namespace {

constexpr mos_config_key kKeys[] = {
    {"proxy_url", "url", "", "http",
     "Where messages are sent (POST <proxy_url>/send/<handle>), http:// alone; empty: to the instance's gateway.",
     MOS_KEY_LIVE, 0},
    {"connect_timeout", "duration", "2s", "1ms..1m", "Longest to connect to an instance.", MOS_KEY_LIVE, 0},
    {"timeout", "duration", "10s", "1ms..5m", "Longest for a whole exchange with an instance.", MOS_KEY_LIVE, 0},
    {"max_response", "size", "256KB", "1KB..16MB", "Longest answer of an instance that is passed on.", MOS_KEY_LIVE, 0},
    {"max_in_flight", "int", "32", "1..1000", "Exchanges with instances at a time; more get 503.", MOS_KEY_LIVE, 0},
    {"max_per_instance", "int", "8", "1..1000", "Exchanges with one instance at a time; more get 503.", MOS_KEY_LIVE,
     0},
};
constexpr mos_need kNeeds[] = {{MOS_ORCHESTRATOR_1, 0, 0}};

/// Everybody who is somebody, also an instance.
constexpr const char *kMayRead = "signed-in|instance|operator:instances:read";
constexpr const char *kMaySend = "signed-in|instance|operator:instances:write";

/// JSON is at most six times as long as the text it carries.
constexpr std::uint64_t kMaxMessageBody = SocialApi::kMaxText * 6 + 8 * 1024;

} // namespace

/// The plugin: routes and metrics around SocialApi.
class SocialPlugin final : public Plugin {
public:
  explicit SocialPlugin(const mos_host_v1 *host)
      : config_(host), platform_(host), services_(host), routes_(host), ok_(counter(Metrics(host), "ok")),
        unreachable_(counter(Metrics(host), "unreachable")), badAnswer_(counter(Metrics(host), "bad_answer")),
        seconds_(Metrics(host).histogram("matrixos_social_fetch_seconds", "Time of an exchange with an instance.",
                                         {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10})) {}

  void start() override {
    api_ = std::make_unique<SocialApi>(
        OrchestratorClient(services_.acquire<mos_orchestrator_v1>(MOS_ORCHESTRATOR_1)), settings(),
        [this](SocialApi::FetchResult result, std::chrono::microseconds took) { count(result, took); });
    routes_
        .add(
            "GET", "/social/users", kMayRead, "Users and whether their instance is up",
            [this](Exchange &exchange) { answer(exchange, [this] { return api_->users(); }); }, 0)
        .add(
            "GET", "/social/profiles/:handle", kMayRead, "A user's profile, from their instance",
            [this](Exchange &exchange) {
              answer(exchange, [&] { return api_->profile(exchange.param("handle"), false); });
            },
            0)
        .add(
            "GET", "/social/profiles/:handle/ai", kMayRead, "A user's AI profile, from their instance",
            [this](Exchange &exchange) {
              answer(exchange, [&] { return api_->profile(exchange.param("handle"), true); });
            },
            0)
        .add(
            "POST", "/social/send/:handle", kMaySend, "Sends a message to a user's instance",
            [this](Exchange &exchange) {
              answer(exchange,
                     [&] { return api_->send(exchange.param("handle"), exchange.body(), Caller::of(exchange)); });
            },
            kMaxMessageBody);
    routes_.publish();
  }

  void stop() override {} // the host drains the routes; nothing runs between requests

  void reconfigure() override { api_->configure(settings()); }

private:
  static Series counter(const Metrics &metrics, std::string_view result) {
    return metrics.counter("matrixos_social_fetches_total", "Exchanges with instances by result.",
                           {{"result", result}});
  }

  static void answer(Exchange &exchange, auto &&make) {
    try {
      exchange.json(200, make());
    } catch (const BadGateway &error) {
      // No Status stands for 502.
      exchange.respond(502, http::kProblemType,
                       http::problemJson({502, error.what(), "BAD_GATEWAY"}, exchange.requestId()));
    }
  }

  SocialApi::Settings settings() const {
    SocialApi::Settings settings;
    settings.proxyUrl = config_.getString("proxy_url");
    if (!settings.proxyUrl.empty()) settings.secret = platformSecret(config_, platform_);
    settings.connectTimeout = config_.getDuration("connect_timeout");
    settings.timeout = config_.getDuration("timeout");
    settings.maxResponse = static_cast<std::size_t>(config_.getInt("max_response"));
    settings.maxInFlight = static_cast<std::size_t>(config_.getInt("max_in_flight"));
    settings.maxPerInstance = static_cast<std::size_t>(config_.getInt("max_per_instance"));
    return settings;
  }

  void count(SocialApi::FetchResult result, std::chrono::microseconds took) const {
    const Series &series = result == SocialApi::FetchResult::Ok            ? ok_
                           : result == SocialApi::FetchResult::Unreachable ? unreachable_
                                                                           : badAnswer_;
    series.add();
    seconds_.observe(static_cast<double>(took.count()) / 1e6);
  }

  const Config config_;
  const Platform platform_;
  const Services services_;
  Routes routes_;
  const Series ok_, unreachable_, badAnswer_, seconds_;
  std::unique_ptr<SocialApi> api_; // outlives the requests: it goes with the plugin, after stop()
};

} // namespace matrixos::social

using SocialPlugin = matrixos::social::SocialPlugin;

MATRIXOS_PLUGIN(SocialPlugin, matrixos::Descriptor("social", "Social", "1.0.0")
                                  .vendor("Matrix OS")
                                  .license("MIT")
                                  .description("Who is online, what instances tell of themselves, messages to them.")
                                  .needs(matrixos::social::kNeeds)
                                  .configKeys(matrixos::social::kKeys))
