// Asks the policy as the proxy does.
#include <matrixos/testing/policy.hpp>

#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

using namespace matrixos::testing;

TEST_CASE("who knows the word may pass, and the instance hears it") {
  Host host(PLUGIN);
  host.set("words", "sesame, friend");
  host.start();
  const auto policy = host.lease<mos_policy_v1>(MOS_POLICY_1, "policy-template");

  PolicyQuestion question;
  question.fields = {{"x-word", "friend"}};
  const PolicyAnswer allowed = checkPolicy(*policy, question);
  CHECK(allowed.verdict == MOS_VERDICT_ALLOW);
  CHECK(allowed.principal == "friend");
  CHECK(allowed.fields == Fields{{"X-Template-Word", "friend"}});

  question.fields = {{"x-word", "enemy"}};
  const PolicyAnswer denied = checkPolicy(*policy, question);
  CHECK(denied.verdict == MOS_VERDICT_DENY);
  CHECK(denied.status == 401);
  CHECK(denied.message == "say the word");
  CHECK(host.metric("matrixos_policy_template_denied_total") == 1);
  host.stop();
}

TEST_CASE("browsers are sent to where they can sign in, if there is such a place") {
  Host host(PLUGIN);
  host.start();
  const auto policy = host.lease<mos_policy_v1>(MOS_POLICY_1, "policy-template");
  PolicyQuestion question;
  question.flags = MOS_REQUEST_NAVIGATION;
  CHECK(checkPolicy(*policy, question).verdict == MOS_VERDICT_DENY);

  host.set("login", "https://console.example/login");
  host.reconfigure(); // the key is live
  const PolicyAnswer sent = checkPolicy(*policy, question);
  CHECK(sent.verdict == MOS_VERDICT_REDIRECT);
  CHECK(sent.location == "https://console.example/login");
  question.flags = 0;
  CHECK(checkPolicy(*policy, question).verdict == MOS_VERDICT_DENY);
  CHECK(host.faults() == "");
  host.stop();
}
