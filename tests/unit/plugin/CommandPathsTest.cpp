#include "plugin/CommandPaths.h"

#include "plugin/StartOrder.h"
#include "support/Errors.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using namespace matrixos::plugin;
using matrixos::test::errorOf;

namespace {

/// A plugin with one command.
Manifest make(const std::string &id, const std::string &method, const std::string &path,
              const std::vector<std::string> &claims = {}, const std::string &progress = {}) {
  Manifest m;
  m.id = id;
  matrixos::common::CommandDescription command;
  command.words = id + " do";
  command.method = method;
  command.path = path;
  command.progress = progress;
  m.commands.push_back(command);
  for (const std::string &claim : claims)
    m.claims.push_back({MOS_CLAIM_PATH, claim, {}, {}});
  return m;
}

/// What is said of it alone: nothing where everything is its own, "foreign" where the others have to be asked.
std::string alone(Manifest m) {
  const matrixos::Error error = errorOf([&] { markForeignCommands(m); });
  if (error.status() == matrixos::Status::Ok) return m.commands[0].foreign ? "foreign" : "";
  CHECK(error.reason() == "PLUGIN_DESCRIPTOR");
  return error.what();
}

/// What is said of a plugin "hooks" that needs "instances/1" beside the orchestrator, which provides it.
std::string beside(Manifest hooks, bool enabled = true) {
  Manifest orchestrator;
  orchestrator.id = "orchestrator";
  orchestrator.provides.push_back({"instances/1", "", 0});
  orchestrator.claims.push_back({MOS_CLAIM_PATH, "/containers", {}, {}});
  const Manifest social = make("social", "GET", "/social");
  markForeignCommands(hooks);
  std::vector<const Manifest *> plugins{&hooks, &social};
  if (enabled) plugins.push_back(&orchestrator);
  const auto failures = StartOrder::of(plugins).failures;
  const auto found = failures.find("hooks");
  return found == failures.end() ? "" : found->second;
}

Manifest needing(Manifest m, const std::string &service, bool optional = false) {
  m.needs.push_back({service, 0, optional, {}});
  return m;
}

} // namespace

TEST_CASE("a command calls what its plugin claims, or what is called like it") {
  CHECK(alone(make("hooks", "GET", "/hooks")).empty());
  CHECK(alone(make("hooks", "DELETE", "/hooks/{ID}?all=1")).empty());
  CHECK(alone(make("hooks", "POST", "/hooks/{ID}/send", {}, "/hooks/{ID}")).empty());
  CHECK(alone(make("hooks", "POST", "/letters/{ID}", {"/letters", "/stamps"})).empty());
  // What the platform has may be read.
  CHECK(alone(make("hooks", "GET", "/ready")).empty());
  CHECK(alone(make("hooks", "POST", "/hooks", {}, "/plugins/hooks")).empty());

  CHECK(alone(make("hooks", "DELETE", "/containers/{ID}")) ==
        "the command \"hooks do\" calls /containers/{ID}, which is not below /hooks nor claimed by the plugin");
  CHECK(alone(make("hooks", "GET", "/hooks", {"/letters"})) ==
        "the command \"hooks do\" calls /hooks, which is not among the paths that the plugin claims");
  CHECK(alone(make("hooks", "GET", "/hooks", {"//hooks"})).find("which is not among the paths") != std::string::npos);
  CHECK(alone(make("hooks", "POST", "/plugins/{ID}/disable")) ==
        "the command \"hooks do\" calls /plugins/{ID}/disable, which is the platform's and can only be read");
  CHECK(alone(make("reload", "POST", "/reload")).find("which is the platform's") != std::string::npos);
  CHECK(alone(make("hooks", "GET", "/hooks", {}, "/containers/{ID}")).find("/containers/{ID}") != std::string::npos);
  for (const char *path : {"/", "/hooksmith", "/hooks{ID}", "/{ID}", "/{ID}/hooks", "/%68ooks/x", "/Hooks"}) {
    CAPTURE(path);
    CHECK_FALSE(alone(make("hooks", "GET", path)).empty());
  }
}

TEST_CASE("a command calls what a plugin has that its own one needs") {
  const Manifest destroy = make("hooks", "DELETE", "/containers/{ID}");
  CHECK(alone(needing(destroy, "instances/1")) == "foreign");
  CHECK(beside(needing(destroy, "instances/1")).empty());
  CHECK(beside(needing(destroy, "instances/1", true)).empty());
  CHECK(beside(needing(destroy, "instances/2", true)) ==
        "its command \"hooks do\" calls /containers/{ID}, which is the plugin orchestrator's, which it does not need");
  CHECK(beside(needing(make("hooks", "GET", "/social/x"), "instances/1"))
            .find("which is the plugin social's, which it does not need") != std::string::npos);
  CHECK(beside(needing(make("hooks", "GET", "/nowhere"), "instances/1")) ==
        "its command \"hooks do\" calls /nowhere, which is no path of its own, nor of a plugin that it needs");
  CHECK(
      beside(needing(make("hooks", "POST", "/plugins/{ID}/disable"), "instances/1")).find("which is the platform's") !=
      std::string::npos);
}

TEST_CASE("what a plugin can do without may be missing, with the paths of it, but not so that it could be anybody's") {
  CHECK(beside(needing(make("hooks", "DELETE", "/containers/{ID}"), "instances/1", true), false).empty());
  CHECK(beside(needing(make("hooks", "GET", "/social"), "instances/1", true), false).find("social's") !=
        std::string::npos);
  CHECK_FALSE(beside(needing(make("hooks", "GET", "/{ID}/x"), "instances/1", true), false).empty());
  CHECK_FALSE(beside(needing(make("hooks", "GET", "/%63ontainers"), "instances/1", true), false).empty());
}
