#include "config/SemanticChecks.h"

#include "config/ProvideAs.h"
#include "config/Text.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string_view>
#include <utility>

namespace matrixos::config {

namespace {

std::string nameOf(const std::string &section, const std::string &key) {
  return "[" + section + "] " + key;
}

const Origin &originOf(const Config &config, const ConfiguredListener &listener) {
  return config.find(listener.section, listener.key)->origin;
}

/// "[proxy] listen (etc/matrixosd.ini:9)"
std::string placed(const Config &config, const ConfiguredListener &listener) {
  return nameOf(listener.section, listener.key) + " (" + originOf(config, listener).toString() + ")";
}

/// The api section is absent in schemas of single plugins, e.g. in their tests.
const ConfigEntry *apiKey(const Config &config, std::string_view key) {
  return config.find("api", key);
}

void checkOpenApi(const Config &config, std::vector<ConfigProblem> &problems) {
  const ConfigEntry *auth = apiKey(config, "auth");
  if (auth == nullptr || auth->value.text != "none") return;
  for (const Exposure &exposure : exposures(config)) {
    problems.push_back({auth->origin, "[api] auth: \"none\" is refused, because " + exposure.what +
                                          "; write auth = secret, or " + exposure.remedy});
  }
}

void checkApiSockets(const Config &config, std::vector<ConfigProblem> &problems) {
  if (const ConfigEntry *admin = apiKey(config, "admin"); admin != nullptr) {
    const auto &addresses = admin->value.addresses;
    if (addresses.size() != 1 || addresses.front().kind != ListenAddress::Kind::Unix) {
      problems.push_back({admin->origin, "[api] admin: " + quote(admin->value.text) +
                                             " is not one unix socket; write one like unix:<data_dir>/run/admin.sock"});
    }
  }
  const ConfigEntry *listen = apiKey(config, "listen");
  if (listen == nullptr) return;
  for (const auto &address : listen->value.addresses) {
    if (address.isLocal()) continue;
    problems.push_back(
        {listen->origin,
         "[api] listen: " + quote(address.toString()) +
             " faces other machines; write unix:/path or 127.0.0.1, and let a plugin's listener face the world"});
  }
}

void checkCollisions(const Config &config, std::vector<ConfigProblem> &problems) {
  const auto listeners = config.listeners();
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (!listeners[i].address.collidesWith(listeners[j].address)) continue;
      problems.push_back({originOf(config, listeners[i]), nameOf(listeners[i].section, listeners[i].key) + ": " +
                                                              quote(listeners[i].address.toString()) +
                                                              " collides with " + listeners[j].address.toString() +
                                                              " of " + placed(config, listeners[j]) +
                                                              "; give one of them another port or path"});
    }
  }
}

/// What no registry and no engine could mean, whichever it is.
bool namesImage(std::string_view text) {
  const auto isWord = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const auto isKnown = [&](char c) {
    return isWord(c) || (c >= 'A' && c <= 'Z') || std::string_view("._-/:[]").find(c) != std::string_view::npos;
  };
  if (const std::size_t at = text.find('@'); at != std::string_view::npos) {
    const std::string_view digest = text.substr(at + 1);
    if (digest.size() != 71 || !digest.starts_with("sha256:")) return false;
    if (digest.substr(7).find_first_not_of("0123456789abcdef") != std::string_view::npos) return false;
    text = text.substr(0, at);
  }
  if (text.empty() || text.size() > 512 || (!isWord(text.front()) && text.front() != '[')) return false;
  for (const char *never : {"//", "..", "/:"}) {
    if (text.find(never) != std::string_view::npos) return false;
  }
  return std::all_of(text.begin(), text.end(), isKnown) && text.back() != '/' && text.back() != ':';
}

void checkImages(const Config &config, std::vector<ConfigProblem> &problems) {
  for (const auto &[name, section] : config.sections()) {
    if (!section.isEnabled) continue;
    for (const auto &[key, entry] : section.entries) {
      if (!entry.spec.isImage() || namesImage(entry.value.text)) continue;
      problems.push_back({entry.origin, nameOf(name, key) + ": " + quote(entry.value.text) +
                                            " names no image; write one like " + entry.spec.defaultValue});
    }
  }
}

/// Browsers keep apart what has hosts of its own, and so do certificates: the console is on no instance's host, on none
/// that a page of an instance may set cookies for, and not on the API's.
std::string whyNoConsole(std::string_view host, std::string_view domain) {
  if (host == domain || host == "api." + std::string(domain)) return "is a host of the platform already";
  const std::string below = "." + std::string(domain);
  if (host.ends_with(below)) {
    const bool isLabel = host.find('.') == host.size() - below.size();
    return isLabel ? "" : "is more than one label before the domain";
  }
  const std::string_view last = host.substr(host.rfind('.') + 1);
  if (last == "localhost") return "is this machine's own";
  if (last.find_first_not_of("0123456789") == std::string_view::npos) return "is an address";
  return host.find('.') == std::string_view::npos ? "has no domain" : "";
}

void checkConsoleHost(const Config &config, std::vector<ConfigProblem> &problems) {
  const ConfigEntry *console = config.find("platform", "console_host");
  const ConfigEntry *domain = config.find("platform", "domain");
  if (console == nullptr || domain == nullptr || console->value.text.empty()) return;
  const std::string why = whyNoConsole(lower(console->value.text), lower(domain->value.text));
  if (why.empty()) return;
  problems.push_back({console->origin, "[platform] console_host: " + quote(console->value.text) + " " + why +
                                           "; write one like console." + domain->value.text});
}

void checkPorts(const Config &config, std::vector<ConfigProblem> &problems) {
  struct Port {
    std::string name;
    const ConfigEntry *entry;
  };
  std::map<std::int64_t, Port> taken;
  for (const auto &[name, section] : config.sections()) {
    if (!section.isEnabled) continue;
    for (const auto &[key, entry] : section.entries) {
      if (!entry.spec.isPort()) continue;
      Port own{nameOf(name, key), &entry};
      const auto [first, alone] = taken.emplace(entry.value.integer, own);
      if (alone) continue;
      Port other = first->second;
      // The one that somebody wrote.
      if (entry.origin.source == Origin::Source::Default) std::swap(own, other);
      problems.push_back({own.entry->origin, own.name + ": " + quote(own.entry->value.text) + " is the port of " +
                                                 other.name + ", too; give one of them another"});
    }
  }
}

void checkPlugins(const Config &config, std::vector<ConfigProblem> &problems) {
  const ConfigEntry *enabled = config.find("plugins", "enabled");
  const ConfigEntry *required = config.find("plugins", "required");
  if (enabled == nullptr || required == nullptr) return;
  std::set<std::string> ids;
  for (const auto &id : enabled->value.items) {
    const auto section = config.sections().find(id);
    if (section != config.sections().end() && !section->second.isPlugin) {
      problems.push_back(
          {enabled->origin, "[plugins] enabled: " + quote(id) + " is a section of the core, not a plugin"});
    } else if (id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos) {
      problems.push_back({enabled->origin, "[plugins] enabled: " + quote(id) +
                                               " is no plugin's name; write ids like proxy, with commas between them"});
    } else if (!ids.insert(id).second) {
      problems.push_back({enabled->origin, "[plugins] enabled: " + quote(id) + " is named twice"});
    }
  }
  if (const ConfigEntry *renamed = config.find("plugins", "provide_as")) {
    for (const auto &item : renamed->value.items) {
      const auto as = ProvideAs::parse(item);
      const std::string key = "[plugins] provide_as: " + quote(item);
      if (!as)
        problems.push_back({renamed->origin, key + " is not like lifecycle:matrixos.lifecycle/1=base"});
      else if (ids.count(as->plugin) == 0)
        problems.push_back({renamed->origin, key + " names a plugin that is not in plugins.enabled"});
    }
  }
  for (const auto &id : required->value.items) {
    if (ids.count(id) != 0) continue;
    problems.push_back({required->origin, "[plugins] required: " + quote(id) +
                                              " is not in plugins.enabled; add it there or remove it here"});
  }
}

} // namespace

std::vector<Exposure> exposures(const Config &config) {
  std::vector<Exposure> found;
  for (const auto &listener : config.listeners()) {
    if (listener.address.isLocal()) continue;
    found.push_back(
        {placed(config, listener) + " is " + listener.address.toString() + ", which other machines can reach",
         "listen on 127.0.0.1"});
  }
  for (const auto &[name, section] : config.sections()) {
    if (!section.isEnabled) continue;
    for (const auto &[key, entry] : section.entries) {
      if (!entry.spec.isPublic() || entry.value.integer == 0) continue;
      found.push_back({nameOf(name, key) + " (" + entry.origin.toString() + ") makes the API reachable from outside",
                       key + " = false"});
    }
  }
  return found;
}

void checkCombinations(const Config &config, std::vector<ConfigProblem> &problems) {
  checkOpenApi(config, problems);
  checkApiSockets(config, problems);
  checkCollisions(config, problems);
  checkPorts(config, problems);
  checkImages(config, problems);
  checkConsoleHost(config, problems);
  checkPlugins(config, problems);
}

} // namespace matrixos::config
