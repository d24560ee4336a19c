#pragma once

#include <fixtures/llm-upstream/LlmUpstream.h>

#include <string>

namespace matrixos::test {

/// Where a script asks.
struct SdkTarget {
  std::string url, key;
  bool gateway = true;     ///< there is one between
  std::string authority{}; ///< file with what an https URL is to be trusted by; empty: the usual ones
};

/// Runs sdk/SCRIPT to its end and checks that all of its cases pass. Left out, with a message, where Node.js or
/// Anthropic's client are not to be had; that fails where CI=true.
void playSdkScript(const std::string &script, const LlmUpstream &upstream, const SdkTarget &target);

} // namespace matrixos::test
