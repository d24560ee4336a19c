// A plugin with a secret that may be replaced while it runs. GET /keeper says how often it was told to read its
// configuration anew and whether the secret is what the query's `word` says; POST /keeper leaks it into the log. When
// it looks at its section it does what the host of `issuer` says.
#include <matrixos/plugin.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace {

class Keeper : public matrixos::Plugin {
public:
  explicit Keeper(const mos_host_v1 *host) : config_(host), log_(host), routes_(host) {}

  void start() override {
    secret_ = config_.secret("token");
    routes_.add("GET", "/keeper", MOS_PERMISSION_ADMIN, "Compares its secret", [this](matrixos::Exchange &exchange) {
      const std::lock_guard lock(mutex_);
      exchange.json(200, std::string("{\"same\":") +
                             (secret_.equals(exchange.queryParam("word").value_or("")) ? "true" : "false") +
                             ",\"told\":" + std::to_string(told_) + "}");
    });
    routes_.add("POST", "/keeper", MOS_PERMISSION_ADMIN, "Leaks its secret", [this](matrixos::Exchange &exchange) {
      const std::lock_guard lock(mutex_);
      log_.warning("the secret is " + std::string(secret_.reveal()), {{"again", secret_.reveal()}});
      exchange.json(200, "{}");
    });
    routes_.publish();
  }
  void stop() override {}

  static void check(const matrixos::Config &config, matrixos::Problems &problems) {
    const std::string issuer = config.getString("issuer");
    const auto is = [&](const char *host) { return issuer.find(host) != std::string::npos; };
    if (issuer.find('?') != std::string::npos) problems.add("issuer", "has a query; write it without");
    for (const std::string &mirror : config.getList("mirrors"))
      if (mirror == issuer) problems.add("mirrors", "repeats the issuer");
    if (is("crash.")) std::abort();
    if (is("hang."))
      for (;;)
        std::this_thread::sleep_for(std::chrono::hours{1});
    if (is("throw.")) throw std::runtime_error("it does not like the weather");
    if (is("leak.")) problems.add("token", "is " + std::string(config.secret("token").reveal()) + "\nhere");
    if (is("whole."))
      problems.add("", "is not for " + config.getString("platform.domain") + config.getString("metrics.token_file"));
    if (is("reach.")) {
      if (::socket(AF_INET, SOCK_STREAM, 0) >= 0) problems.add("issuer", "could be asked over the network");
      if (::open("written-by-keeper", O_WRONLY | O_CREAT, 0600) >= 0) problems.add("issuer", "could be written down");
      if (::fork() >= 0) problems.add("issuer", "could be left to a child");
      if (::access("/etc/passwd", R_OK) != 0) problems.add("issuer", "could not be looked up");
    }
  }

  void reconfigure() override {
    const std::lock_guard lock(mutex_);
    secret_ = config_.secret("token");
    ++told_;
  }

private:
  matrixos::Config config_;
  matrixos::Log log_;
  matrixos::Routes routes_;
  std::mutex mutex_;
  matrixos::Secret secret_;
  int told_ = 0;
};

constexpr mos_config_key kKeys[] = {
    {"token", "pattern", nullptr, "[a-z-]{6,}", "A word.", MOS_KEY_SECRET | MOS_KEY_LIVE, 0},
    {"issuer", "url", "", "https", "Where tokens come from.", MOS_KEY_LIVE, 0},
    {"mirrors", "urls", "", "https", "Where else they come from.", MOS_KEY_LIVE, 0},
};

} // namespace

MATRIXOS_PLUGIN(Keeper, matrixos::Descriptor("keeper", "Keeper", "1.0.0")
                            .vendor("Example")
                            .license("MIT")
                            .description("Keeps a secret.")
                            .configKeys(kKeys))
