#include "common/SystemError.h"
#include "ctl/Commands.h"
#include "ctl/DaemonClient.h"
#include "ctl/Output.h"
#include "ctl/Table.h"
#include "ctl/Version.h"

#include <sysexits.h>

#include <algorithm>
#include <cerrno>
#include <iostream>

namespace {

using namespace matrixos;
using namespace matrixos::ctl;

int run(const std::vector<std::string> &words) {
  Commands commands(words);
  if (words.empty()) {
    std::cout << commands.help({});
    return EX_USAGE;
  }
  const Invocation invocation = commands.understand();
  if (invocation.has("version")) {
    if (!printedJson(invocation, json::dump(json::object({{"version", std::string(kVersion)}}))))
      std::cout << "matrixosctl " << kVersion << '\n';
    return EX_OK;
  }
  if (invocation.has("help")) {
    std::cout << commands.help(invocation.arguments);
    return EX_OK;
  }
  return invocation.command->action(invocation);
}

int report(bool asJson, int code, const std::string &sentence, const std::string &reason = {}) {
  if (asJson) {
    json::Object::Ptr error = json::object({{"error", sentence}, {"exitCode", code}});
    if (!reason.empty()) error->set("reason", reason);
    std::cerr << json::dump(*error) << '\n';
  } else {
    std::cerr << "matrixosctl: " << printable(sentence) << '\n';
    if (code == EX_USAGE) std::cerr << "See matrixosctl --help.\n";
  }
  return code;
}

} // namespace

int main(int argc, char **argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const bool asJson = std::find(words.begin(), words.end(), "--json") != words.end();
  int code = EX_SOFTWARE;
  try {
    code = run(words);
  } catch (const UsageError &e) {
    code = report(asJson, EX_USAGE, e.what());
  } catch (const Failure &e) {
    code = report(asJson, e.exitCode(), e.what(), e.reason());
  } catch (const std::exception &e) {
    code = report(asJson, EX_SOFTWARE, e.what());
  }
  // What was not written was not done, as far as the one who reads it knows.
  const int failure = finishOutput();
  if (failure == 0) return code;
  if (failure == EPIPE) return EX_IOERR; // whoever read the output has enough
  return report(asJson, EX_IOERR, "the output could not be written: " + common::errnoText(failure));
}
