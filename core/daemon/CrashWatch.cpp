#include "daemon/CrashWatch.h"

#include "common/AtomicFile.h"
#include "daemon/DaemonMetrics.h"
#include "log/Log.h"
#include "plugin/Manifest.h"

#include <matrixos/status.hpp>

#include <unistd.h>

#include <filesystem>

namespace matrixos::daemon {

namespace fs = std::filesystem;

CrashWatch::~CrashWatch() {
  plugin::CrashRecord::close();
  if (made_.empty()) return;
  for (const char *file : {"run/breadcrumb", "lock"})
    ::unlink((made_ / file).c_str());
  ::rmdir((made_ / "run").c_str());
  ::rmdir(made_.c_str());
}

void CrashWatch::begin(const config::Config &config, plugin::PluginFiles &files, bool serves) {
  try {
    const fs::path dataDir = config.getString("platform", "data_dir");
    quarantine_.emplace(dataDir / "quarantine");
    files.heed(&*quarantine_);
    if (!serves) return;
    if (!fs::exists(dataDir)) made_ = dataDir;
    directory(dataDir);
    common::removeUnfinished(dataDir / "quarantine");
    last_ = plugin::CrashRecord::open(dataDir / "run");
    if (last_) judge(config);
  } catch (const Error &e) {
    // Whatever runs from a folder that others can write to is theirs, and nothing is to be done beside another daemon.
    if (e.reason() == "OWNERSHIP" || e.reason() == "IN_USE") throw;
  } catch (const std::exception &) {
    // The daemon is about to say the same when it opens the data directory, or runs without a crash record.
  }
}

storage::DataDirectory &CrashWatch::directory(const fs::path &path) {
  if (!directory_) directory_.emplace(path);
  return *directory_;
}

void CrashWatch::judge(const config::Config &config) {
  if (!plugin::isPluginId(last_->plugin)) {
    last_->plugin.clear();
    if (last_->served) quarantine_->forgive();
    return;
  }
  const fs::path file = fs::path(config.getString("plugins", "path")) / (last_->plugin + ".so");
  record_ = quarantine_->note(*last_, file);
}

void CrashWatch::report(metrics::Metrics &metrics) {
  made_.clear();
  // One that was told to end and then killed is what service managers do.
  if (!last_ || (last_->stopping && last_->signal == 0 && !last_->exited)) return;
  const log::Log log("core");
  const std::string how = "the last run (process " + std::to_string(last_->pid) + ") did not end as it should: ";
  if (last_->plugin.empty()) {
    return log.error(how + last_->sentence() + "; nothing points at a plugin", {{"signal", last_->signal}});
  }
  if (record_) {
    metrics.add(crashesOf(metrics, last_->plugin), record_->crashes);
  }
  std::string what = how + "the plugin " + last_->plugin + " brought it down with " + last_->sentence();
  if (record_ && record_->quarantined)
    what += "; it is quarantined";
  else if (record_)
    what += "; once more in a row, and it is quarantined";
  log.error(what, {{"plugin", last_->plugin},
                   {"version", last_->version},
                   {"signal", last_->signal},
                   {"evidence", last_->evidence},
                   {"crashes", record_ ? record_->crashes : 0}});
}

void CrashWatch::survived() noexcept {
  if (quarantine_) quarantine_->forgive();
}

} // namespace matrixos::daemon
