// A policy that decides from memory, as one with sessions would: looks the request's session up and names its user.
#include <matrixos/plugin.hpp>
#include <matrixos/policy.hpp>

#include <string>
#include <unordered_map>

namespace {

constexpr mos_provide kProvides[] = {{MOS_POLICY_1, POLICY_ID, MOS_POLICY_1_MINOR, 0}};

class BenchPolicy : public matrixos::Plugin, private matrixos::Policy {
public:
  explicit BenchPolicy(const mos_host_v1 *host) : services_(host) {
    for (int i = 0; i < 10'000; ++i)
      users_["session-" + std::to_string(i)] = "user-" + std::to_string(i);
    users_[""] = "nobody";
  }
  void start() override { services_.provide(MOS_POLICY_1, POLICY_ID, table()); }
  void stop() override {}

private:
  matrixos::PolicyVerdict check(const matrixos::PolicyRequest &request) override {
    const auto user = users_.find(std::string(request.header("cookie")));
    if (user == users_.end()) return matrixos::PolicyVerdict::deny(401, "sign in");
    return matrixos::PolicyVerdict::allow(user->second);
  }

  matrixos::Services services_;
  std::unordered_map<std::string, std::string> users_;
};

} // namespace

MATRIXOS_PLUGIN(BenchPolicy, matrixos::Descriptor(POLICY_ID, "Bench policy", "1.0.0").provides(kProvides))
