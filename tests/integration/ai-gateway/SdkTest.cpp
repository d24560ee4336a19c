/// Anthropic's own client and what Claude Code asks of a gateway. The cases are in sdk/*.mjs.
#include "Scripts.h"

#include <doctest/doctest.h>

using namespace matrixos::test;

TEST_CASE("the scripts agree with the upstream alone, without a gateway") {
  const LlmUpstream upstream({"--key", "sk-ant-good"});
  playSdkScript("sdk.mjs", upstream, {upstream.url(), "sk-ant-good", false});
  playSdkScript("claude-code.mjs", upstream, {upstream.tlsUrl(), "sk-ant-good", false, upstream.authority()});
}
