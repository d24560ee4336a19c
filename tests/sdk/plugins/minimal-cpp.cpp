/// A plugin in C++: one route, one key, one metric.
#include <matrixos/plugin.hpp>

#include <string>

namespace {

constexpr mos_config_key kKeys[] = {{"greeting", "string", "hello", nullptr, "What the route says.", MOS_KEY_LIVE, 0}};

class Minimal final : public matrixos::Plugin {
public:
  explicit Minimal(const mos_host_v1 *host)
      : config_(host), log_(host), routes_(host),
        requests_(matrixos::Metrics(host).counter("matrixos_minimal_requests_total", "Requests answered.")) {}

  void start() override {
    reconfigure();
    routes_.add(
        "GET", "/minimal-cpp", MOS_PERMISSION_PUBLIC, "Answers from C++",
        [this](matrixos::Exchange &exchange) {
          requests_.add();
          exchange.json(200, R"({"from":"c++","greeting":")" + greeting_ + "\"}");
        },
        0);
    routes_.publish();
    log_.info("minimal-cpp starts", {{"greeting", greeting_}});
  }
  void stop() override { log_.info("minimal-cpp stops"); }
  void reconfigure() override {
    greeting_ = config_.getString("greeting");
    if (greeting_ == "fail") throw matrixos::Error(matrixos::Status::InvalidArgument, "that is no greeting", "RUDE");
  }

private:
  matrixos::Config config_;
  matrixos::Log log_;
  matrixos::Routes routes_;
  matrixos::Series requests_;
  std::string greeting_;
};

} // namespace

MATRIXOS_PLUGIN(Minimal, matrixos::Descriptor("minimal-cpp", "Minimal in C++", "1.0.0")
                             .vendor("Matrix OS")
                             .license("MIT")
                             .description("One route, in C++.")
                             .configKeys(kKeys))
