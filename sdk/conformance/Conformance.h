/// matrixos-conformance: judges an implementation of "matrixos.runtime/1" by what abi/runtime.h promises.
///
/// The library knows the table of the service and nothing else, so that it can judge a runtime wherever one is at hand:
/// in the program matrixos-runtime-conformance, which loads a plugin, and inside a plugin of the daemon, through the
/// host's proxy. It is linked statically and needs no more than the SDK's headers and a JSON library.
#pragma once

#include <matrixos/abi/runtime.h>

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace matrixos::conformance {

class CaseSession;

/// What the cases may use, and what they are to know of the runtime. The defaults suit a runtime that takes any image.
struct Options {
  std::string image = "matrixos-demo:latest"; ///< an image that is present, whose instance runs until it is stopped
  std::vector<std::string> command;           ///< of such an instance; empty: the image's own
  std::vector<std::string> exitCommand;       ///< one that ends by itself with exitCode; empty: no such case
  std::vector<std::string> stubbornCommand;   ///< one that ignores SIGTERM; empty: no such case
  int exitCode = 3;
  std::map<std::string, std::string> env; ///< of every instance
  int port = 4000;                        ///< where the instance answers HTTP
  std::string network;                    ///< that every spec names; empty: none
  std::string usersDirectory;             ///< where volumes with a host path are put; empty: no host paths
  std::string pullImage;                  ///< an image whose pull takes a while and is not present; empty: no such case
  std::string missingImage = "matrixos-conformance-missing:none"; ///< one that nobody has
  bool viaHost = false;       ///< the table is a proxy of the daemon, which carries calls out on threads of its own
  bool hostPorts = false;     ///< specs name free ports of this machine; found out where capabilities tell it
  bool realProcesses = false; ///< running instances answer on their endpoints
  int instances = 12;         ///< how many the cases with many make
  int threads = 8;            ///< how many call at the same time
  std::chrono::milliseconds callTimeout{30'000}; ///< deadline of a call that is expected to succeed
  std::chrono::milliseconds promptness{5'000};   ///< how soon a cancelled call has to be back
  std::string runId;                             ///< part of every name that is made; made up when empty
  bool keep = false;                             ///< leave what the cases made
};

enum class CaseOutcome { Pass, Fail, Skip };

/// How one case went.
struct CaseResult {
  std::string id;
  std::string group;
  CaseOutcome outcome = CaseOutcome::Pass;
  std::string reason;   ///< of a skip; of a failure in one sentence
  std::string expected; ///< failures only, as the three below
  std::string got;
  std::string rule;               ///< which sentence of the contract is broken
  std::vector<std::string> calls; ///< that led there, oldest first
  double ms = 0;
  bool abandoned = false; ///< a call never came back: its thread is still inside the runtime
  std::string diedWith;   ///< how the runtime ended the process of the case; empty: it did not
  std::string diedIn;     ///< in which call, or calls; empty: in none
};

/// One thing to be judged. `id` is "group.what".
struct Case {
  std::string id;
  std::string title; ///< what holds when it passes
  std::string rule;  ///< where that is promised
  bool core = false; ///< part of what every runtime has to pass, whatever it is made of
  std::function<void(CaseSession &)> run;

  std::string group() const { return id.substr(0, id.find('.')); }
};

/// All cases that need the table alone, in the order in which they are to be run.
const std::vector<Case> &cases();

/// Called before and after a case.
struct CaseObserver {
  std::function<void(const Case &)> begins;
  std::function<void(const CaseResult &)> ends;
};

/// Runs `selected` one after the other against `runtime` and removes what they made. Blocks; any thread. The table has
/// to stay valid for as long as a result says abandoned. Throws nothing but std::bad_alloc.
std::vector<CaseResult> run(const mos_runtime_v1 *runtime, Options options, const std::vector<Case> &selected,
                            const CaseObserver &progress = {});

/// The cases whose id or group matches `pattern` (`*` and `?`, several by comma; empty: all), optionally core only.
std::vector<Case> select(const std::vector<Case> &all, const std::string &pattern, bool coreOnly);

/// The whole as JSON: {"plugin", "version", "abi", "cases": [{"id", "group", "result", "reason", "ms", …}], "summary"}.
std::string toJson(const std::string &plugin, const std::string &version, const std::vector<CaseResult> &results);
/// "N passed, N failed, N skipped", and how often the runtime ended its process.
std::string summary(const std::vector<CaseResult> &results);
/// A result for people: one line, and for a failure what was expected, what came, the rule and the calls.
std::string describe(const CaseResult &result, bool colour);
/// One result as a line of JSON and back; for results that cross a process boundary.
std::string encode(const CaseResult &result);
CaseResult decode(const std::string &line);

} // namespace matrixos::conformance
