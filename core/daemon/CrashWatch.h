#pragma once

#include "config/Config.h"
#include "metrics/Metrics.h"
#include "plugin/CrashRecord.h"
#include "plugin/PluginFiles.h"
#include "plugin/Quarantine.h"
#include "storage/DataDirectory.h"

#include <filesystem>
#include <optional>
#include <string>

namespace matrixos::daemon {

/// From one run of the daemon to the next: which plugin brought it down, and which ones are not loaded for it.
class CrashWatch {
public:
  CrashWatch() = default;
  /// The daemon has ended; what still crashes is nobody's doing. A daemon that refused to start leaves no data
  /// directory behind that was not there before.
  ~CrashWatch();
  CrashWatch(const CrashWatch &) = delete;
  CrashWatch &operator=(const CrashWatch &) = delete;

  /// Before any plugin is loaded: heeds the quarantine and, when the daemon is going to serve, takes the data
  /// directory, opens the crash record of this run and judges by what the last one left. Throws what DataDirectory
  /// throws for a directory of others, or one where another daemon works; one that cannot be used otherwise is reported
  /// by directory().
  void begin(const config::Config &config, plugin::PluginFiles &files, bool serves);
  /// The data directory, held as long as this object lives. Throws Error when it cannot be used.
  storage::DataDirectory &directory(const std::filesystem::path &path);
  /// Tells the operator what begin() found; once the log is configured. matrixos_plugin_crashes_total counts what is
  /// held against a plugin.
  void report(metrics::Metrics &metrics);
  /// All plugins were started.
  static void serving() noexcept { plugin::CrashRecord::serving(); }
  /// The daemon was told to end: what still happens is a plugin's doing only if it leaves a signal.
  static void stopping() noexcept { plugin::CrashRecord::stopping(); }
  /// It has run long enough, or ended as it should: single crashes are forgiven.
  void survived() noexcept;

  /// Null before begin().
  const plugin::Quarantine *quarantine() const noexcept { return quarantine_ ? &*quarantine_ : nullptr; }

private:
  void judge(const config::Config &config);

  std::filesystem::path made_; ///< the data directory, if begin() made it and the daemon has not started yet
  std::optional<storage::DataDirectory> directory_;
  std::optional<plugin::Quarantine> quarantine_;
  std::optional<plugin::CrashReport> last_;
  std::optional<plugin::Quarantine::Record> record_;
};

} // namespace matrixos::daemon
