#pragma once

#include <Poco/Util/OptionSet.h>
#include <Poco/Util/ServerApplication.h>

#include <string>
#include <vector>

namespace matrixos::daemon {

/// The program matrixosd: Poco's server application with our options, signals and exit codes (sysexits.h).
class MatrixosDaemon : public Poco::Util::ServerApplication {
public:
  /// `startDirectory`: where relative paths of the command line start, since --daemon leaves it.
  explicit MatrixosDaemon(std::string startDirectory);

  /// Throws Poco::Util::OptionException for words that are no options of ours. Poco itself would answer them with the
  /// exit code of a wrong configuration.
  void checkOptions(const std::vector<std::string> &words);

protected:
  void initialize(Poco::Util::Application &self) override;
  void defineOptions(Poco::Util::OptionSet &options) override;
  void handleOption(const std::string &name, const std::string &value) override;
  int main(const std::vector<std::string> &arguments) override;

private:
  int check();
  int serve();
  void printHelp() const;

  const std::string startDirectory_;
  std::string configFile_;
  std::vector<std::string> sets_;
  bool check_ = false;
  bool done_ = false; ///< --help or --version was answered
};

} // namespace matrixos::daemon
