// A policy in C++: who knows the word may enter, and is told to the instance.
#include <matrixos/plugin.hpp>
#include <matrixos/policy.hpp>

namespace {

constexpr mos_provide kProvides[] = {{MOS_POLICY_1, "doorman", MOS_POLICY_1_MINOR, 0}};

class Doorman : public matrixos::Plugin, private matrixos::Policy {
public:
  explicit Doorman(const mos_host_v1 *host) : services_(host) {}
  void start() override { services_.provide(MOS_POLICY_1, "doorman", table()); }
  void stop() override {}

private:
  using Verdict = matrixos::PolicyVerdict;

  Verdict check(const matrixos::PolicyRequest &request) override {
    const std::string_view word = request.header("x-word");
    if (word == "sesame") return Verdict::allow("user:ali", {{"X-Matrix-User", "ali"}});
    if (word == "later") return Verdict::pending();
    if (request.isNavigation()) return Verdict::redirect("https://console.example/auth/login");
    return Verdict::deny(401, "say the word", {{"WWW-Authenticate", "Word"}});
  }
  void decide(const matrixos::Call &, const matrixos::PolicyRequest &request, matrixos::Completion &done) override {
    done.succeed(Verdict::allow("user:later", {{"X-Handle", request.handle()}}).json());
  }

  matrixos::Services services_;
};

} // namespace

MATRIXOS_PLUGIN(Doorman, matrixos::Descriptor("doorman", "Doorman", "1.0.0")
                             .vendor("Example")
                             .license("MIT")
                             .description("Asks for the word.")
                             .provides(kProvides))
