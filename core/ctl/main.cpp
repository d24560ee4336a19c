#include "ctl/Commands.h"
#include "ctl/DaemonClient.h"
#include "ctl/Version.h"

#include <sysexits.h>

#include <iostream>

int main(int argc, char **argv) {
  using namespace matrixos::ctl;
  try {
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (words.empty()) {
      std::cout << helpFor(commands(), {});
      return EX_USAGE;
    }
    const Invocation invocation = parse(commands(), words);
    if (invocation.has("version")) {
      std::cout << "matrixosctl " << kVersion << '\n';
      return EX_OK;
    }
    if (invocation.has("help")) {
      std::cout << helpFor(commands(), invocation.arguments);
      return EX_OK;
    }
    return execute(invocation);
  } catch (const UsageError &e) {
    std::cerr << "matrixosctl: " << e.what() << "\nSee matrixosctl --help.\n";
    return EX_USAGE;
  } catch (const Failure &e) {
    std::cerr << "matrixosctl: " << e.what() << '\n';
    return e.exitCode();
  } catch (const std::exception &e) {
    std::cerr << "matrixosctl: " << e.what() << '\n';
    return EX_SOFTWARE;
  }
}
