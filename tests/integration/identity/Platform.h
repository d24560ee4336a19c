#pragma once

#include "Browser.h"
#include "support/DaemonProcess.h"
#include "support/ScriptedHttp.h"

#include <filesystem>
#include <string>
#include <vector>

namespace matrixos::test {

/// A daemon with the identity plugin, an instance "alice" of ada's that runs, and one "sleepy" of ada's that sleeps.
/// Instances answer with the request that they got.
class IdentityPlatform {
public:
  /// `guests`: plugins of tests that lie beside it.
  explicit IdentityPlatform(DaemonProcess::Values values = {}, const std::vector<std::string> &guests = {})
      : instance([](const Peer &peer) { peer.answer("200 OK", "text/plain", "an instance"); }),
        daemon(withDefaults(std::move(values), std::to_string(instance.port()))) {
    const auto folder = daemon.dir() / "plugins";
    std::filesystem::create_directory(folder);
    for (const char *plugin :
         {"plugins/proxy.so", "plugins/lifecycle.so", "plugins/identity.so", "scenario-plugins/fixed-instances.so"}) {
      const auto file = buildDir() / plugin;
      std::filesystem::copy_file(file, folder / file.filename());
    }
    for (const std::string &guest : guests)
      std::filesystem::copy_file(buildDir() / "test-plugins" / (guest + ".so"), folder / (guest + ".so"));
    daemon.rewriteConfig({{"plugins.path", folder.string()}});
  }

  /// What the instance was asked last; empty when nothing was.
  std::string lastRequest() const { return instance.last(); }

  /// For tests that ask as nobody asks: no limit stands in their way.
  static DaemonProcess::Values unlimited() {
    return {{"api.limit_address", "1000000/1m"},
            {"api.limit_principal", "1000000/1m"},
            {"api.limit_writes", "1000000/1m"},
            {"api.limit_sign_in", "1000000/1m"}};
  }

  ScriptedHttp instance;
  DaemonProcess daemon;

private:
  static DaemonProcess::Values withDefaults(DaemonProcess::Values values, const std::string &port) {
    values.merge(DaemonProcess::Values{{"plugins.enabled", "fixed-instances, lifecycle, proxy, identity"},
                                       {"plugins.required", "proxy, identity"},
                                       {"api.auth", "secret"},
                                       {"fixed-instances.running", "alice:" + port + ":ada"},
                                       {"fixed-instances.sleeping", "sleepy:" + port + ":ada"},
                                       {"identity.mode", "none"},
                                       {"identity.public_paths", "/about, /blog/*"},
                                       {"identity.operators", "oscar"}});
    return values;
  }
};

/// One that runs, for tests that leave it as it was.
inline IdentityPlatform &shared() {
  static IdentityPlatform platform;
  if (!platform.daemon.running()) platform.daemon.start();
  return platform;
}

inline Browser newBrowser() {
  return Browser(shared().daemon.proxyPort());
}

/// The only object in a list.
inline std::string objectIn(const std::string &list) {
  return list.size() > 2 ? list.substr(1, list.size() - 2) : "{}";
}

/// On the console's host.
inline Browser signedIn(const std::string &name) {
  Browser browser = newBrowser();
  browser.signInAs(name, browser.url("console", "/auth/login?return=/auth"));
  return browser;
}

} // namespace matrixos::test
