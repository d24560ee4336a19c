// policy-template: decides who may reach an instance. Replace check() by your rule; the proxy asks it about each
// request, in the order of [proxy] policies.
#include <matrixos/plugin.hpp>
#include <matrixos/policy.hpp>

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using Verdict = matrixos::PolicyVerdict;

/// What the configuration says. Immutable: a reload makes another one.
struct Rules {
  std::vector<std::string> words;
  std::string login;
};

class TemplatePolicy final : public matrixos::Plugin, private matrixos::Policy {
public:
  explicit TemplatePolicy(const mos_host_v1 *host) : host_(host), config_(host), services_(host) {}

  void start() override {
    reconfigure();
    denied_ = matrixos::Metrics(host_).counter("matrixos_policy_template_denied_total",
                                               "Requests that did not know the word.");
    services_.provide(MOS_POLICY_1, "policy-template", table());
  }
  void stop() override {}

  /// The keys are live: an operator's reload ends here.
  void reconfigure() override {
    auto rules = std::make_shared<Rules>();
    rules->words = config_.getList("words");
    rules->login = config_.getString("login");
    const std::lock_guard lock(mutex_);
    rules_ = std::move(rules);
  }

private:
  /// On the threads that carry all requests: from memory, within microseconds. What takes longer answers
  /// Verdict::pending(), and has ten seconds in decide().
  Verdict check(const matrixos::PolicyRequest &request) override {
    // A verdict's texts are borrowed until it was taken, after this returns: the thread keeps them for so long.
    static thread_local std::shared_ptr<const Rules> rules;
    rules = current();
    const std::string_view word = request.header("X-Word");
    if (!word.empty() && std::find(rules->words.begin(), rules->words.end(), word) != rules->words.end())
      return Verdict::allow(word, {{"X-Template-Word", word}}); // the instance hears who it is
    denied_.add();
    if (request.isNavigation() && !rules->login.empty()) return Verdict::redirect(rules->login);
    return Verdict::deny(401, "say the word");
  }

  std::shared_ptr<const Rules> current() const {
    const std::lock_guard lock(mutex_); // for a moment: a pointer is copied
    return rules_;
  }

  const mos_host_v1 *host_;
  matrixos::Config config_;
  matrixos::Services services_;
  matrixos::Series denied_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Rules> rules_;
};

constexpr mos_config_key kKeys[] = {
    {"words", "list", "", nullptr, "Words that open the door; a request brings one as X-Word.", MOS_KEY_LIVE, 0},
    {"login", "string", "", nullptr, "Where browsers without one are sent; empty: they are refused, too.", MOS_KEY_LIVE,
     0}};
constexpr mos_provide kProvides[] = {{MOS_POLICY_1, "policy-template", MOS_POLICY_1_MINOR, 0}};

} // namespace

MATRIXOS_PLUGIN(TemplatePolicy, matrixos::Descriptor("policy-template", "Template", "1.0.0")
                                    .vendor("Example")
                                    .license("MIT")
                                    .description("Lets in who knows the word.")
                                    .provides(kProvides)
                                    .configKeys(kKeys))
