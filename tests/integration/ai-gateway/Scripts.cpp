#include "Scripts.h"

#include <doctest/doctest.h>
#include <support/NodePackages.h>

namespace matrixos::test {

void playSdkScript(const std::string &script, const LlmUpstream &upstream, const SdkTarget &target) {
  const auto folder = nodePackages(SDK_SCRIPTS, "anthropic-sdk");
  if (!folder) return;
  std::vector<std::string> command = {"env", "LLM_URL=" + target.url, "LLM_KEY=" + target.key,
                                      "LLM_CONTROL=" + upstream.url()};
  if (target.gateway) command.emplace_back("LLM_GATEWAY=1");
  if (!target.authority.empty()) command.push_back("NODE_EXTRA_CA_CERTS=" + target.authority);
  for (const std::string &part : {std::string("node"), (*folder / script).string()})
    command.push_back(part);
  const Finished played = run(command, {}, std::chrono::minutes{5});
  MESSAGE(played.out);
  CHECK_MESSAGE(played.status == 0, script);
}

} // namespace matrixos::test
