#include "plugin/NameOwners.h"

#include "plugin/Manifest.h"
#include "plugin/PluginFaults.h"
#include "support/Errors.h"

#include <matrixos/abi/plugin.h>
#include <matrixos/status.hpp>

#include <doctest/doctest.h>

using namespace matrixos;
using namespace matrixos::plugin;

namespace {

struct Fixture {
  Fixture() {
    owners.expect({{"orchestrator", {{MOS_CLAIM_TOPIC, "instance.*", {}, {}}, {MOS_CLAIM_PATH, "/containers", {}, {}}}},
                   {"webhook-sender", {}},
                   {"old", {}}});
  }
  /// "" when it may.
  std::string why(const char *plugin, const char *kind, const char *name) const {
    try {
      owners.check(plugin, kind, name);
      return {};
    } catch (const Error &e) {
      CHECK(e.status() == Status::PermissionDenied);
      CHECK(e.reason() == "NAME_OWNED");
      return e.what();
    }
  }
  NameOwners owners;
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "what a plugin claims is its own, and the rest of that kind is not") {
  CHECK(why("orchestrator", "path", "/containers/:handle/start").empty());
  CHECK(why("orchestrator", "topic", "instance.started").empty());
  CHECK(why("old", "path", "/containers/:handle/mine") ==
        "the path /containers/:handle/mine is the plugin orchestrator's");
  CHECK(why("old", "path", "/containers") == "the path /containers is the plugin orchestrator's");
  CHECK(why("old", "path", "/containersize").empty());
  CHECK(why("old", "topic", "instance.started") == "the topic instance.started is the plugin orchestrator's");
  CHECK(why("orchestrator", "path", "/other") == "the path /other is not among those that the plugin claims");
  CHECK(why("stranger", "topic", "instance.started") == "the topic instance.started is the plugin orchestrator's");
}

TEST_CASE_FIXTURE(Fixture, "who claims nothing has the names that begin with its id, and those that nobody has") {
  CHECK(why("webhook-sender", "path", "/webhook-sender/all").empty());
  CHECK(why("webhook-sender", "metric", "matrixos_webhook_sender_sent_total").empty());
  CHECK(why("webhook-sender", "topic", "webhook-sender.sent").empty());
  CHECK(why("old", "metric", "matrixos_webhook_sender_sent_total") ==
        "the metric matrixos_webhook_sender_sent_total is the plugin webhook-sender's");
  CHECK(why("old", "path", "/webhook-sender") == "the path /webhook-sender is the plugin webhook-sender's");
  CHECK(why("old", "topic", "anything").empty());
  CHECK(why("orchestrator", "metric", "matrixos_instances").empty());
}

TEST_CASE_FIXTURE(Fixture, "what is the host's is nobody's") {
  const auto before = PluginFaults::instance().count("old", PluginFault::Trespass);
  CHECK(why("old", "metric", "matrixos_api_requests_total") == "the metric matrixos_api_requests_total is the host's");
  CHECK(why("old", "topic", "service.provided") == "the topic service.provided is the host's");
  CHECK(PluginFaults::instance().count("old", PluginFault::Trespass) == before + 2);
  CHECK(why("old", "metric", "matrixos_plugin_process_restarts_total").empty());
}

TEST_CASE_FIXTURE(Fixture, "what a plugin leaves to others is whose it is who claims it") {
  owners.expect({{"orchestrator",
                  {{MOS_CLAIM_PATH, "/containers", {}, {}}, {MOS_CLAIM_PATH, "!/containers/:handle/shares", {}, {}}}},
                 {"identity", {{MOS_CLAIM_PATH, "/containers/:handle/shares", {}, {}}}},
                 {"old", {}}});
  CHECK(why("identity", "path", "/containers/:handle/shares").empty());
  CHECK(why("identity", "path", "/containers/:handle/shares/:id").empty());
  CHECK(why("identity", "path", "/containers/:handle") == "the path /containers/:handle is the plugin orchestrator's");
  CHECK(why("identity", "path", "/containers/:handle/sharesx") ==
        "the path /containers/:handle/sharesx is the plugin orchestrator's");
  CHECK(why("orchestrator", "path", "/containers/:handle/shares") ==
        "the path /containers/:handle/shares is the plugin identity's");
  CHECK(why("old", "path", "/containers/:handle/shares") ==
        "the path /containers/:handle/shares is the plugin identity's");
}

TEST_CASE("plugins conflict about what both claim, but not about what one leaves to others") {
  Manifest orchestrator, identity;
  orchestrator.id = "orchestrator";
  orchestrator.claims = {{MOS_CLAIM_PATH, "/containers", {}, {}}};
  identity.id = "identity";
  identity.claims = {{MOS_CLAIM_PATH, "/containers/:handle/shares", {}, {}}};
  CHECK(claimConflicts({&orchestrator, &identity}).count("identity") == 1);
  CHECK(claimConflicts({&identity, &orchestrator}).count("orchestrator") == 1);
  orchestrator.claims.push_back({MOS_CLAIM_PATH, "!/containers/:handle/shares", {}, {}});
  CHECK(claimConflicts({&orchestrator, &identity}).empty());
  CHECK(claimConflicts({&identity, &orchestrator}).empty());
  identity.claims.push_back({MOS_CLAIM_PATH, "/containers/:handle", {}, {}});
  CHECK(claimConflicts({&orchestrator, &identity}).count("identity") == 1);
}
