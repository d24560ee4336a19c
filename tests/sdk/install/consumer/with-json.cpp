/// A plugin that uses the optional part of the SDK, matrixos/json.hpp.
#include <matrixos/json.hpp>
#include <matrixos/plugin.hpp>

namespace {

class WithJson final : public matrixos::Plugin {
public:
  explicit WithJson(const mos_host_v1 *host) : routes_(host) {}
  void start() override {
    routes_.add(
        "POST", "/with-json", MOS_PERMISSION_PUBLIC, "Repeats a word",
        [](matrixos::Exchange &exchange) {
          const auto object = matrixos::json::parseObject(exchange.body());
          exchange.json(200, "{\"length\":" + std::to_string(matrixos::json::getString(*object, "word").size()) + "}");
        },
        1024);
    routes_.publish();
  }
  void stop() override {}

private:
  matrixos::Routes routes_;
};

} // namespace

MATRIXOS_PLUGIN(WithJson, matrixos::Descriptor("with-json", "With JSON", "1.0.0").vendor("Example").license("MIT"))
