#pragma once

#include <Poco/Util/OptionSet.h>
#include <Poco/Util/ServerApplication.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace matrixos::daemon {

/// The program matrixosd: Poco's server application with our options, signals, exit codes (sysexits.h), and way into
/// the background.
class MatrixosDaemon : public Poco::Util::ServerApplication {
public:
  /// `startDirectory`: where relative paths of the command line start, since --daemon leaves it.
  explicit MatrixosDaemon(std::string startDirectory);

  /// Reads the options and does what they say; the exit code. Unlike Poco's, it forks only once they are understood,
  /// and throws Poco::Util::OptionException for those that are none.
  int runWith(int argc, char **argv);

protected:
  void initialize(Poco::Util::Application &self) override;
  void defineOptions(Poco::Util::OptionSet &options) override;
  void handleOption(const std::string &name, const std::string &value) override;
  int main(const std::vector<std::string> &arguments) override;

private:
  int check();
  int restoreTables();
  int serve();
  void printHelp() const;

  const std::string startDirectory_;
  std::string configFile_;
  std::string pidFile_;
  std::optional<mode_t> umask_;
  bool inBackground_ = false;
  std::vector<std::string> sets_;
  bool check_ = false;
  std::string restoreFrom_;
  bool done_ = false; ///< --help or --version was answered
};

} // namespace matrixos::daemon
