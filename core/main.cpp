#include "common/CoreDumps.h"
#include "daemon/MatrixosDaemon.h"
#include "daemon/ServiceManager.h"
#include "daemon/SignalThread.h"

#include <Poco/Util/OptionException.h>
#include <sys/stat.h>
#include <sysexits.h>

#include <filesystem>
#include <iostream>

int main(int argc, char **argv) {
  matrixos::daemon::SignalThread::blockAll();
  matrixos::daemon::ServiceManager::claimSockets();
  matrixos::common::forbidCoreDumps();
  // Whatever the daemon and its plugins make, nobody else may write to it unless they say so.
  ::umask(::umask(0) | S_IWGRP | S_IWOTH);
  try {
    return matrixos::daemon::MatrixosDaemon(std::filesystem::current_path()).runWith(argc, argv);
  } catch (const Poco::Util::OptionException &e) {
    std::cerr << "matrixosd: " << e.displayText() << "; see matrixosd --help\n";
    return EX_USAGE;
  } catch (const std::exception &e) {
    std::cerr << "matrixosd: " << e.what() << '\n';
    return EX_SOFTWARE;
  }
}
