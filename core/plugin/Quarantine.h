#pragma once

#include "plugin/CrashRecord.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace matrixos::plugin {

/// Plugins that crashed the daemon, one small JSON file `<folder>/<id>` each. Two crashes in a row, and the plugin is
/// not loaded any more, not even for a look at its descriptor, until the operator enables it, its file changes, or the
/// record is deleted. A run that ends as it should, or lasts a while, wipes the single crashes out. Thread-safe: all
/// state is in the files, which are written atomically and read anew each time.
class Quarantine {
public:
  static constexpr int kCrashes = 2;

  explicit Quarantine(std::filesystem::path folder) : folder_(std::move(folder)) {}

  struct Record {
    int crashes = 0;
    bool quarantined = false;
    std::string reason;  ///< how the last one ended
    std::string at;      ///< when it was found, RFC 3339
    std::string version; ///< of the plugin
    std::uint64_t fileSize = 0;
    std::int64_t fileMtimeNs = 0;
  };
  /// What is known against the plugin; nothing for most. A damaged record counts as none.
  std::optional<Record> find(const std::string &id) const;

  /// Counts a crash. `file`: the plugin's, as it is now. Gives the record. Throws Error when it cannot be written.
  Record note(const CrashReport &crash, const std::filesystem::path &file) const;
  /// Why the plugin must not be loaded and what to do about it; empty when it may be. Lifts the quarantine of a file
  /// that has changed.
  std::string refusal(const std::string &id, const std::filesystem::path &file) const;
  /// The operator wants it to run.
  void lift(const std::string &id) const noexcept;
  /// A run went well: plugins that are not in quarantine have a clean slate.
  void forgive() const noexcept;

private:
  std::filesystem::path folder_;
};

} // namespace matrixos::plugin
