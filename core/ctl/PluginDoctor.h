#pragma once

#include "ctl/CommandLine.h"

#include <string>
#include <vector>

namespace matrixos::ctl {

/// What a check came to; Unknown: it could not be made.
enum class Verdict { Good, Bad, Unknown };

struct Finding {
  std::string check; ///< one word, always the same for the same check
  Verdict verdict = Verdict::Unknown;
  std::string text;
  std::string remedy; ///< what to do, for Bad ones; may be empty
};

/// All that was found out about one plugin's file.
struct Diagnosis {
  std::string id, path;
  std::vector<Finding> findings;

  bool healthy() const;
};

/// Looks at plugins: `targets` are ids of [plugins] path, or paths of files; none means all that are enabled. Works
/// without a daemon; when one answers, its view is part of the diagnosis. Nothing of a file runs unless --load says so,
/// nor anything of one whose owner or mode is wrong. Options: --config, --api, --load. Throws Failure when the
/// configuration cannot be read at all.
std::vector<Diagnosis> diagnosePlugins(const Invocation &invocation, const std::vector<std::string> &targets);

} // namespace matrixos::ctl
