#include "config/Validator.h"

#include "common/Wipe.h"
#include "config/SemanticChecks.h"
#include "config/Text.h"
#include "config/TextFile.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <tuple>

namespace matrixos::config {

namespace {

constexpr std::string_view kDataDir = "<data_dir>";
constexpr std::string_view kTwinSuffix = "_file";
/// Variables of other use, or of the build and its tests, that are no configuration.
constexpr std::array<std::string_view, 3> kReserved{"MATRIXOS_FAILPOINT", "MATRIXOS_CONFIG", "MATRIXOS_TEST"};

/// A value in force, before it is read.
struct Written {
  std::string text;
  Origin origin;
  bool commented = false; ///< see RawValue
};

/// Brings what was written and what was declared together. Used once.
class Evaluation {
public:
  Evaluation(const RawConfig &raw, const Schema &schema) : raw_(raw), schema_(schema), problems_(raw.problems) {
    for (const auto &value : raw.values)
      latest_[{value.section, value.key}] = &value;
  }

  void run() {
    nameVariables();
    findDataDir();
    for (const auto &section : schema_.sections()) {
      if (section.uncheckedBecause.empty()) readSection(section);
    }
    enablePlugins();
  }

  /// What run() does not look at: names that nobody declared, and variables that nobody reads.
  void checkNames() {
    for (const auto &section : raw_.sections)
      checkSectionName(section.name, section.origin);
    for (const auto &value : raw_.values)
      checkKeyName(value);
    for (const auto &[name, text] : raw_.environment)
      checkVariableName(name);
    for (const auto &section : schema_.sections()) {
      if (!section.uncheckedBecause.empty() && isWritten(section.name)) {
        warnings_.push_back("[" + section.name + "] is not checked: " + section.uncheckedBecause);
      }
    }
  }

  void checkRequired() {
    for (const auto &[name, section] : sections_) {
      if (!section.isEnabled) continue;
      for (const auto &[key, entry] : section.entries) {
        if (!entry.spec.isRequired() || !entry.value.text.empty() || entry.unseen) continue;
        if (unreadable_.count({name, key}) != 0) continue;
        std::string text = "has to be set";
        if (entry.spec.isSecret()) text.append(", or ").append(key).append(kTwinSuffix);
        if (!entry.spec.help.empty()) text.append(": ").append(entry.spec.help);
        addProblem(sectionOrigin(name), name, key, text);
      }
    }
  }

  /// In the order of files and lines, then the environment, then the command line.
  std::vector<ConfigProblem> takeProblems() {
    const auto rank = [](const ConfigProblem &problem) {
      const Origin &o = problem.origin;
      const int source = o.source == Origin::Source::Default ? 9 : static_cast<int>(o.source);
      return std::make_tuple(source, o.fileNumber, o.line);
    };
    std::stable_sort(problems_.begin(), problems_.end(),
                     [&](const ConfigProblem &a, const ConfigProblem &b) { return rank(a) < rank(b); });
    return std::move(problems_);
  }

  std::vector<ConfigProblem> &problems() noexcept { return problems_; }

  ConfigPtr takeConfig() {
    std::vector<std::string> warnings = raw_.warnings;
    warnings.insert(warnings.end(), warnings_.begin(), warnings_.end());
    return std::make_shared<const Config>(std::move(sections_), raw_.files, std::move(warnings));
  }

private:
  void addProblem(const Origin &origin, std::string_view section, std::string_view key, const std::string &text) {
    problems_.push_back({origin, "[" + std::string(section) + "] " + std::string(key) + ": " + text});
  }

  void nameVariables() {
    for (const auto &section : schema_.sections()) {
      for (const auto &key : section.keys) {
        variables_[environmentName(section.name, key.name)].push_back("[" + section.name + "] " + key.name);
        if (!key.isSecret()) continue;
        const std::string twin = key.name + std::string(kTwinSuffix);
        variables_[environmentName(section.name, twin)].push_back("[" + section.name + "] " + twin);
      }
    }
  }

  void findDataDir() {
    const SectionSpec *platform = schema_.find("platform");
    const KeySpec *key = platform != nullptr ? platform->find("data_dir") : nullptr;
    if (key == nullptr) return;
    const Written value = inForce("platform", *key);
    dataDir_ = resolvePath(value.text, value.origin);
    if (!value.text.empty() && value.text.find(kDataDir) == std::string::npos) return;
    addProblem(value.origin, "platform", "data_dir",
               quote(value.text) + " is not a directory; write one like " + key->defaultValue);
    dataDir_ = key->defaultValue;
  }

  void readSection(const SectionSpec &spec) {
    Section section;
    section.isPlugin = spec.isPlugin;
    for (const auto &key : spec.keys) {
      ConfigEntry entry =
          key.isSecret() ? readSecret(spec.name, key) : readEntry(spec.name, key, inForce(spec.name, key));
      section.entries.emplace(key.name, std::move(entry));
    }
    sections_.emplace(spec.name, std::move(section));
  }

  /// A value that cannot be read counts as a problem, and as its default, so that the rest can be checked.
  ConfigEntry readEntry(const std::string &section, const KeySpec &key, const Written &written) {
    ConfigEntry entry{key, {}, written.origin, {}, {}};
    try {
      entry.value = parse(key, written);
      if (key.type == ValueType::Path) entry.value.text = fileOf(entry.value.text, section, key.name, entry);
    } catch (const Error &e) {
      addProblem(written.origin, section, key.name, e.what());
      unreadable_.insert({section, key.name});
      entry.value = fallback(key);
      entry.origin = {};
    }
    return entry;
  }

  ConfigValue fallback(const KeySpec &key) const {
    try {
      return parse(key, {key.defaultValue, {}});
    } catch (const Error &) {
      // Only a <data_dir> can spoil a default, and then nobody will see the value: the problem is on record.
      return parseValue(key, key.defaultValue);
    }
  }

  ConfigEntry readSecret(const std::string &section, const KeySpec &key) {
    KeySpec twin;
    twin.name = key.name + std::string(kTwinSuffix);
    const Written direct = inForce(section, key);
    const Written file = inForce(section, twin);
    if (file.text.empty()) return readEntry(section, key, direct);
    if (!direct.text.empty()) {
      addProblem(file.origin, section, twin.name,
                 "the secret is set twice, here and by " + key.name + " (" + direct.origin.toString() +
                     "); keep one of them");
    }
    Written content{{}, file.origin};
    ConfigEntry source{twin, {}, file.origin, {}, {}};
    try {
      source.secretFile = fileOf(resolvePath(expand(file.text), file.origin), section, twin.name, source);
      if (!source.unseen) content.text = secretIn(source.secretFile);
    } catch (const Error &e) {
      addProblem(file.origin, section, twin.name, e.what());
      unreadable_.insert({section, key.name});
    }
    ConfigEntry entry = readEntry(section, key, content);
    common::wipe(content.text);
    entry.secretFile = source.secretFile;
    entry.credential = source.credential;
    entry.unseen = source.unseen;
    return entry;
  }

  std::string secretIn(const std::string &path) const {
    try {
      return readSecretFile(path, secretsOwner());
    } catch (const Error &e) {
      throw Error(e.status(), quote(path) + " " + e.what());
    }
  }

  /// The file that a path stands for, which may be a credential's; notes in `entry` what it is.
  std::string fileOf(const std::string &path, const std::string &section, const std::string &key, ConfigEntry &entry) {
    if (!Credentials::isNamedBy(path)) return path;
    entry.credential = path;
    entry.unseen = raw_.onlyLooks && !raw_.credentials.areGiven();
    if (!entry.unseen) return raw_.credentials.fileOf(path);
    Credentials::checkName(path);
    warnings_.push_back("[" + section + "] " + key + ": " + quote(path) +
                        " is not looked at: the daemon's unit gives it to the daemon alone");
    return path;
  }

  /// Who may own secrets beside root: the user that the daemon runs as, or will, where root looks on.
  uid_t secretsOwner() const {
    struct stat info {};
    return ::geteuid() == 0 && ::stat(dataDir_.c_str(), &info) == 0 ? info.st_uid : ::geteuid();
  }

  ConfigValue parse(const KeySpec &key, const Written &written) const {
    if (written.commented && isText(key.type) && !key.isSecret()) {
      throw Error(Status::InvalidArgument, quote(written.text) + " has a comment in it; a comment needs a line of its "
                                                                 "own, and a value that is meant so needs quotes");
    }
    // A secret is taken byte for byte.
    ConfigValue value = parseValue(key, key.isSecret() ? written.text : expand(written.text));
    if (written.text.empty() && !key.emptyMeans.empty()) value = parseValue(key, key.emptyMeans);
    if (key.type == ValueType::Path) value.text = resolvePath(value.text, written.origin);
    if (key.type == ValueType::Listen) resolveSockets(value, written.origin);
    return value;
  }

  void resolveSockets(ConfigValue &value, const Origin &origin) const {
    for (std::size_t i = 0; i < value.addresses.size(); ++i) {
      ListenAddress &address = value.addresses[i];
      if (address.kind != ListenAddress::Kind::Unix) continue;
      address.path = resolvePath(address.path, origin);
      value.items[i] = address.toString();
      // The path grew, and the kernel's limit holds for the whole.
      ListenAddress::parse(value.items[i]);
    }
    value.text = joinList(value.items);
  }

  std::string expand(std::string text) const {
    // A schema without the core's sections knows no data directory.
    if (dataDir_.empty()) return text;
    for (std::size_t at = text.find(kDataDir); at != std::string::npos;
         at = text.find(kDataDir, at + dataDir_.size())) {
      text.replace(at, kDataDir.size(), dataDir_);
    }
    return text;
  }

  /// Relative paths of a file start at that file, all others where the daemon was started.
  std::string resolvePath(const std::string &text, const Origin &origin) const {
    const std::filesystem::path path(text);
    if (text.empty() || path.is_absolute() || Credentials::isNamedBy(text)) return text;
    std::filesystem::path base = raw_.workingDirectory;
    if (origin.source == Origin::Source::File) base /= std::filesystem::path(origin.name).parent_path();
    return (base / path).lexically_normal().string();
  }

  Written inForce(const std::string &section, const KeySpec &key) {
    const auto found = latest_.find({section, key.name});
    const RawValue *value = found != latest_.end() ? found->second : nullptr;
    if (value != nullptr && value->origin.source == Origin::Source::CommandLine) return {value->text, value->origin};
    const std::string variable = environmentName(section, key.name);
    if (const auto set = raw_.environment.find(variable); set != raw_.environment.end()) {
      const Origin origin{Origin::Source::Environment, variable, 0, 0};
      if (isUnambiguous(variable, origin)) return {set->second, origin};
    }
    if (value != nullptr) return {value->text, value->origin, value->commented};
    return {key.defaultValue, {}};
  }

  /// "-" and "_" are one in a variable's name, so that two keys can claim it.
  bool isUnambiguous(const std::string &variable, const Origin &origin) {
    const auto &claims = variables_[variable];
    if (claims.size() < 2) return true;
    if (ambiguous_.insert(variable).second) {
      problems_.push_back({origin, "fits " + claims[0] + " and " + claims[1] + "; set them in a file or with --set"});
    }
    return false;
  }

  void enablePlugins() {
    const auto plugins = sections_.find("plugins");
    if (plugins == sections_.end()) return;
    const auto enabled = plugins->second.entries.find("enabled");
    if (enabled == plugins->second.entries.end()) return;
    const auto &ids = enabled->second.value.items;
    for (auto &[name, section] : sections_) {
      section.isEnabled = !section.isPlugin || std::find(ids.begin(), ids.end(), name) != ids.end();
    }
    requireByDefault(plugins->second, ids);
  }

  /// What plugins.required names by default counts as far as it is enabled, also where a file repeats the default.
  static void requireByDefault(Section &plugins, const std::vector<std::string> &enabled) {
    const auto required = plugins.entries.find("required");
    if (required == plugins.entries.end() || required->second.value.text != required->second.spec.defaultValue) return;
    ConfigValue &value = required->second.value;
    std::erase_if(value.items,
                  [&](const auto &id) { return std::find(enabled.begin(), enabled.end(), id) == enabled.end(); });
    value.text = joinList(value.items);
  }

  bool isWritten(const std::string &section) const {
    return std::any_of(raw_.values.begin(), raw_.values.end(), [&](const RawValue &v) { return v.section == section; });
  }

  void checkSectionName(const std::string &name, const Origin &origin) {
    if (schema_.find(name) != nullptr) return;
    std::vector<std::string> known;
    for (const auto &section : schema_.sections())
      known.push_back(section.name);
    const auto meant = closest(name, known);
    problems_.push_back({origin, "unknown section [" + name + "]; " +
                                     (meant ? "did you mean [" + *meant + "]?"
                                            : "neither the core nor an installed plugin has that name")});
  }

  void checkKeyName(const RawValue &value) {
    const SectionSpec *section = schema_.find(value.section);
    if (section == nullptr) {
      // In files the section's own line has been reported.
      if (value.origin.source == Origin::Source::CommandLine) checkSectionName(value.section, value.origin);
      return;
    }
    if (!section->uncheckedBecause.empty()) return;
    std::vector<std::string> known;
    for (const auto &key : section->keys) {
      known.push_back(key.name);
      if (key.isSecret()) known.push_back(key.name + std::string(kTwinSuffix));
    }
    if (std::find(known.begin(), known.end(), value.key) != known.end()) return;
    problems_.push_back(
        {value.origin, "unknown key " + quote(value.key) + " in [" + value.section + "]" + adviseKey(value, known)});
  }

  std::string adviseKey(const RawValue &value, const std::vector<std::string> &known) const {
    for (const auto &section : schema_.sections()) {
      if (section.find(value.key) != nullptr) return "; [" + section.name + "] has a key of that name";
    }
    const auto meant = closest(value.key, known);
    return meant ? "; did you mean \"" + *meant + "\"?" : "";
  }

  void checkVariableName(const std::string &name) {
    if (variables_.count(name) != 0) return;
    for (const auto reserved : kReserved) {
      if (name == reserved || name.starts_with(std::string(reserved) + "_")) return;
    }
    std::vector<std::string> known;
    for (const auto &section : schema_.sections()) {
      if (!section.uncheckedBecause.empty() && name.starts_with(environmentName(section.name, ""))) return;
    }
    for (const auto &[variable, claims] : variables_)
      known.push_back(variable);
    const auto meant = closest(name, known);
    warnings_.push_back("the variable " + name + " is no configuration key and is ignored" +
                        (meant ? "; did you mean " + *meant + "?" : ""));
  }

  Origin sectionOrigin(const std::string &name) const {
    for (const auto &section : raw_.sections) {
      if (section.name == name) return section.origin;
    }
    if (raw_.file.empty()) return {};
    return {Origin::Source::File, raw_.file.string(), 0, 1};
  }

  const RawConfig &raw_;
  const Schema &schema_;
  std::vector<ConfigProblem> problems_;
  std::vector<std::string> warnings_;
  std::map<std::pair<std::string, std::string>, const RawValue *> latest_;
  /// Variable → the keys it stands for.
  std::map<std::string, std::vector<std::string>> variables_;
  std::set<std::string> ambiguous_;
  /// Keys that are set to something that could not be read.
  std::set<std::pair<std::string, std::string>> unreadable_;
  std::string dataDir_;
  Config::Sections sections_;
};

} // namespace

ConfigPtr preview(const RawConfig &raw, const Schema &schema) {
  Evaluation evaluation(raw, schema);
  evaluation.run();
  return evaluation.takeConfig();
}

ConfigPtr validate(const RawConfig &raw, const Schema &schema) {
  Evaluation evaluation(raw, schema);
  evaluation.run();
  evaluation.checkNames();
  evaluation.checkRequired();
  ConfigPtr config = evaluation.takeConfig();
  checkCombinations(*config, evaluation.problems());
  const std::vector<ConfigProblem> problems = evaluation.takeProblems();
  if (problems.empty()) return config;
  std::vector<std::string> texts;
  texts.reserve(problems.size());
  for (const auto &problem : problems)
    texts.push_back(problem.toString());
  throw ConfigError(std::move(texts));
}

} // namespace matrixos::config
