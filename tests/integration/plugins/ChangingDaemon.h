#pragma once

#include "support/DaemonProcess.h"

#include <atomic>
#include <string>

namespace matrixos::test {

/// The real daemon with the plugins "changing" (tests/fakes/reload), whose file is one of several versions, and
/// "consuming", which needs it; "leasing" lies there, too.
class ChangingDaemon {
public:
  explicit ChangingDaemon(DaemonProcess::Values more = {}) : daemon_(values(plugins_, std::move(more))) {
    for (const char *file : {"consuming.so", "leasing.so"}) {
      std::filesystem::copy_file(versions() / file, plugins_ / file);
      std::filesystem::permissions(plugins_ / file, std::filesystem::perms::owner_all);
    }
    replace(1);
  }

  /// As package managers do it: a new file under the old name.
  void replace(int version) {
    const auto fresh = plugins_ / "changing.so.new";
    std::filesystem::copy_file(fileOf(version), fresh, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::permissions(fresh, std::filesystem::perms::owner_all);
    std::filesystem::rename(fresh, file());
  }
  /// As `cp` does it: the old file is cut to nothing and filled again.
  void overwrite(int version) { writeFile(file(), readFile(fileOf(version))); }

  Response reload() const { return daemon_.api("POST", "/plugins/changing/reload"); }
  /// What the plugin says of itself; "503" and so on when it does not answer.
  std::string answer(const std::string &key) const { return memberOf(daemon_.api("GET", "/changing"), key); }
  std::string plugin(const std::string &key) const { return memberOf(daemon_.api("GET", "/plugins/changing"), key); }
  std::string consumed() const { return memberOf(daemon_.api("GET", "/consuming"), "version"); }

  DaemonProcess &daemon() { return daemon_; }
  std::filesystem::path file() const { return plugins_ / "changing.so"; }
  const TempDir &plugins() const { return plugins_; }
  static std::filesystem::path versions() { return buildDir() / "test-plugins" / "changing"; }
  static std::filesystem::path fileOf(int version) { return versions() / std::to_string(version) / "changing.so"; }

private:
  static std::string memberOf(const Response &response, const std::string &key) {
    return response.status == 200 ? member(response.body, key) : std::to_string(response.status);
  }
  static DaemonProcess::Values values(const TempDir &plugins, DaemonProcess::Values more) {
    more.insert({{"plugins.path", plugins.path().string()}, {"plugins.enabled", "changing, consuming"}});
    return more;
  }

  const TempDir plugins_;
  DaemonProcess daemon_;
};

} // namespace matrixos::test
