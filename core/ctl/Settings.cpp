#include "ctl/Settings.h"

#include "config/CoreSchema.h"
#include "config/Loader.h"
#include "config/Validator.h"
#include "ctl/DaemonClient.h"

#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

namespace matrixos::ctl {

namespace fs = std::filesystem;

namespace {

constexpr const char *kDefaultConfig = "/etc/matrixos/matrixosd.ini";

} // namespace

Settings Settings::read(const std::string &file) {
  Settings settings;
  config::LoadOptions options;
  options.file = file;
  if (file.empty() && fs::exists(kDefaultConfig)) options.file = kDefaultConfig;
  options.environment = config::processEnvironment();
  options.onlyLooks = true;
  settings.raw = config::load(options);
  if (!options.file.empty() && settings.raw.files.empty()) {
    settings.unreadable = settings.raw.problems.empty() ? options.file.string() + " cannot be read"
                                                        : settings.raw.problems.front().toString();
    if (!file.empty()) throw Failure(EX_CONFIG, settings.unreadable);
  }
  std::error_code error;
  settings.core =
      config::coreSchema(config::defaultPluginsPath(fs::read_symlink("/proc/self/exe", error).parent_path()));
  const config::ConfigPtr config = config::preview(settings.raw, settings.core);
  settings.plugins = config->getString("plugins", "path");
  settings.enabled = config->enabledPlugins();
  settings.dataDir = config->getString("platform", "data_dir");
  for (const config::ListenAddress &address : config->getListen("api", "admin"))
    if (settings.adminSocket.empty()) settings.adminSocket = address.toString();
  struct stat data {};
  settings.user = ::stat(settings.dataDir.c_str(), &data) == 0 ? data.st_uid : ::geteuid();
  return settings;
}

} // namespace matrixos::ctl
