#include "daemon/StartCheck.h"

#include "auth/Secret.h"
#include "config/ProvideAs.h"
#include "config/Text.h"
#include "config/TextFile.h"
#include "daemon/ServiceUser.h"
#include "plugin/StartOrder.h"
#include "storage/DataDirectory.h"

#include <matrixos/abi/plugin.h>

#include <http/engine/Tls.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <map>

namespace matrixos::daemon {

namespace {

class StartCheck {
public:
  explicit StartCheck(const config::Config &config) : config_(config) {}

  /// Of the operator's; none is named where it is generated, or there is none.
  void metricsToken() {
    const std::string path = fileOf("metrics", "token_file");
    if (!path.empty()) attempt("metrics", "token_file", [&] { auth::loadOwnSecret(path); });
  }

  /// Those of plugins, which root could read anyway.
  void secretFiles() {
    for (const auto &[name, section] : config_.sections()) {
      if (!section.isEnabled) continue;
      for (const auto &[key, entry] : section.entries) {
        if (entry.secretFile.empty() || entry.unseen) continue;
        attempt(name.c_str(), key.c_str(), [&] {
          try {
            config::readSecretFile(entry.secretFile, ::geteuid());
          } catch (const Error &e) {
            throw Error(e.status(), config::quote(entry.secretFile) + " " + e.what());
          }
        });
      }
    }
  }

  void dataDirectory(const ServiceUser &user) {
    const std::filesystem::path dataDir = config_.getString("platform", "data_dir");
    if (const std::string file = fileOf("platform", "secret_file"); !file.empty())
      attempt("platform", "secret_file", [&] { auth::resolveSecret(file, dataDir); });
    // Who is neither root nor its user cannot know.
    struct stat info {};
    const bool found = ::stat(dataDir.c_str(), &info) == 0;
    if (!found && errno == EACCES && user.acts())
      add("platform", "data_dir", dataDir.string() + " is in a folder that its owner may not enter");
    if (!found || info.st_uid != ::geteuid()) return;
    attempt("platform", "data_dir", [&] {
      storage::DataDirectory::check(dataDir);
      // One that is not there yet is generated.
      std::error_code error;
      if (!config_.isSet("platform", "secret_file") && std::filesystem::exists(dataDir / auth::kSecretFileName, error))
        auth::resolveSecret({}, dataDir);
    });
  }

  /// Who listens there takes the place of a socket that nobody listens on, but of nothing else.
  void sockets() {
    for (const config::ConfiguredListener &listener : config_.listeners()) {
      struct stat info {};
      if (listener.address.kind != config::ListenAddress::Kind::Unix) continue;
      if (::lstat(listener.address.path.c_str(), &info) != 0 || S_ISSOCK(info.st_mode)) continue;
      add(listener.section.c_str(), listener.key.c_str(),
          listener.address.path + " exists and is no socket; remove it or choose another path");
    }
  }

  void certificates() {
    for (const auto &[name, section] : config_.sections()) {
      const config::ConfigEntry *listen = flagged(section, MOS_KEY_TLS_LISTEN);
      if (!section.isEnabled || listen == nullptr || listen->value.addresses.empty()) continue;
      const config::ConfigEntry *certificate = flagged(section, MOS_KEY_TLS_CERTIFICATE);
      const config::ConfigEntry *key = flagged(section, MOS_KEY_TLS_KEY);
      if (certificate == nullptr || key == nullptr || certificate->unseen || key->unseen) continue;
      attempt(name.c_str(), listen->spec.name.c_str(), [&] {
        for (const config::ConfigEntry *file : {certificate, key}) {
          if (file->value.text.empty())
            throw Error(Status::InvalidArgument, "needs " + certificate->spec.name + " and " + key->spec.name);
        }
        http::TlsContext(certificate->value.text, key->value.text);
      });
    }
  }

  void plugins(const std::vector<plugin::DiscoveredPlugin> &found) {
    std::vector<const plugin::Manifest *> manifests;
    std::map<std::pair<std::string, std::string>, std::string> providers; // service and instance → id
    const auto &renamings = config_.getList("plugins", "provide_as");
    for (const plugin::DiscoveredPlugin &plugin : found) {
      if (plugin.quarantined) continue; // a state that `plugins enable` ends, not the configuration's fault
      if (!plugin.manifest) {
        add("plugins", "enabled", config::quote(plugin.id) + " cannot be loaded: " + plugin.error);
        continue;
      }
      manifests.push_back(&*plugin.manifest);
      for (const std::string &item : renamings) {
        const auto as = config::ProvideAs::parse(item);
        if (as && as->plugin == plugin.id && plugin.manifest->findProvide(as->service, "") == nullptr)
          add("plugins", "provide_as", config::quote(item) + ": the plugin does not provide that service");
      }
      for (const auto &provide : plugin.manifest->provides) {
        const auto [first, alone] = providers.emplace(std::pair(provide.service, provide.instance), plugin.id);
        if (alone) continue;
        const std::string instance = provide.instance.empty() ? "" : " " + config::quote(provide.instance);
        add("plugins", "enabled",
            config::quote(plugin.id) + " provides " + provide.service + instance + ", and so does " +
                config::quote(first->second) + "; enable one of them");
      }
    }
    for (const auto &[id, why] : plugin::StartOrder::of(manifests).failures)
      add("plugins", "enabled", config::quote(id) + " cannot start: " + why);
  }

  std::vector<std::string> takeProblems() { return std::move(problems_); }

private:
  /// The file that the key names; empty when it names none, or one that is not here to be looked at.
  std::string fileOf(const char *section, const char *key) const {
    const config::ConfigEntry *entry = config_.find(section, key);
    return entry->unseen ? std::string() : entry->value.text;
  }

  static const config::ConfigEntry *flagged(const config::Section &section, std::uint32_t flag) {
    for (const auto &[key, entry] : section.entries) {
      if ((entry.spec.flags & flag) != 0) return &entry;
    }
    return nullptr;
  }

  template <typename Judge>
  void attempt(const char *section, const char *key, Judge &&judge) {
    try {
      judge();
    } catch (const Error &e) {
      add(section, key, e.what());
    }
  }

  void add(const char *section, const char *key, const std::string &text) {
    const config::ConfigEntry *entry = config_.find(section, key);
    problems_.push_back(
        config::ConfigProblem{entry->origin, std::string("[") + section + "] " + key + ": " + text}.toString());
  }

  const config::Config &config_;
  std::vector<std::string> problems_;
};

} // namespace

std::vector<std::string> checkStart(const config::Config &config,
                                    const std::vector<plugin::DiscoveredPlugin> &plugins) {
  StartCheck check(config);
  {
    const ServiceUser user(config.getString("platform", "data_dir"));
    check.dataDirectory(user);
    check.metricsToken();
    check.secretFiles();
    check.sockets();
    check.certificates();
  }
  check.plugins(plugins);
  return check.takeProblems();
}

} // namespace matrixos::daemon
