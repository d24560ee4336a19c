#include "ctl/PluginDoctor.h"

#include "common/CommandOwners.h"
#include "common/Ownership.h"
#include "config/CoreSchema.h"
#include "config/Validator.h"
#include "ctl/DaemonClient.h"
#include "ctl/PluginProbe.h"
#include "ctl/Settings.h"
#include "plugin/PluginFiles.h"
#include "plugin/Quarantine.h"
#include "plugin/StartOrder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>

namespace matrixos::ctl {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::seconds kPatience{10}; ///< with what a plugin says of itself

std::string joined(const std::vector<std::string> &words, std::size_t most = 5) {
  std::string text;
  for (std::size_t i = 0; i < words.size() && i < most; ++i)
    text += (text.empty() ? "" : ", ") + words[i];
  return words.size() > most ? text + " and " + std::to_string(words.size() - most) + " more" : text;
}

/// One plugin under examination.
class Patient {
public:
  Patient(const Settings &settings, const std::string &target) : settings_(settings) {
    const bool isFile = target.find('/') != std::string::npos || fs::path(target).extension() == ".so";
    const fs::path path = isFile ? fs::absolute(target) : settings.plugins / (target + ".so");
    diagnosis_.path = path.string();
    diagnosis_.id = path.stem().string();
  }

  /// The file alone and, with `load`, what it says of itself. `files` takes its copy. Ends with an owner or a mode that
  /// is wrong: what a stranger can change is nothing to go on with.
  void examineFile(plugin::PluginFiles &files, bool load) {
    checkFolder();
    if (!openFile() || !diagnosis_.healthy()) return;
    plugin::ElfFile elf;
    plugin::FileFacts facts;
    try {
      facts = plugin::copyPluginFile(file_, diagnosis_.id, files, elf);
    } catch (const std::exception &e) {
      return add("elf", e.what(), "build it with matrixos_add_plugin(), and install the file again");
    }
    add("elf", "a whole shared object for this machine");
    checkSymbols(elf);
    const bool linked = checkLibraries(missingLibraries(facts, elf), elf);
    if (load) return checkDescriptor(probePlugin(facts.copy, facts.path.string(), diagnosis_.id, kPatience), linked);
    for (const char *check : {"descriptor", "abi", "provides", "commands", "needs", "config"})
      addUnknown(check, "its code would have to run for that: --load");
  }

  void add(const char *check, std::string text) { diagnosis_.findings.push_back({check, Verdict::Good, text, {}}); }
  void add(const char *check, std::string text, std::string remedy) {
    diagnosis_.findings.push_back({check, Verdict::Bad, std::move(text), std::move(remedy)});
  }
  void addUnknown(const char *check, std::string text) {
    diagnosis_.findings.push_back({check, Verdict::Unknown, std::move(text), {}});
  }

  const std::string &id() const noexcept { return diagnosis_.id; }
  const std::string &path() const noexcept { return diagnosis_.path; }
  const std::optional<plugin::Manifest> &manifest() const noexcept { return manifest_; }
  const Diagnosis &diagnosis() const noexcept { return diagnosis_; }

private:
  void checkOwnership(const char *check, const struct stat &info, const fs::path &path, const std::string &what) {
    const std::string problem = common::ownershipProblem(info, path, ("the " + what).c_str(), settings_.user);
    if (problem.empty()) return add(check, path.string() + " " + common::ownership(info));
    const std::size_t remedy = problem.find("; ");
    add(check, problem.substr(0, remedy), "chown root " + path.string() + " && chmod go-w " + path.string());
  }

  void checkFolder() {
    const fs::path folder = fs::path(diagnosis_.path).parent_path();
    struct stat info {};
    if (::stat(folder.c_str(), &info) != 0) {
      return add("folder", folder.string() + ": " + std::strerror(errno), "check [plugins] path");
    }
    checkOwnership("folder", info, folder, "folder");
  }

  bool openFile() {
    const fs::path path = diagnosis_.path;
    std::error_code error;
    file_.path = fs::canonical(path, error);
    if (!error && file_.path.parent_path() != fs::canonical(path.parent_path(), error)) {
      add("file", path.string() + " is a link out of its folder, to " + file_.path.string(),
          "install the file itself: the daemon follows no link that leaves the folder");
      return false;
    }
    file_.fd.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file_.fd || ::fstat(file_.fd.get(), &file_.info) != 0) {
      add("file", path.string() + ": " + std::strerror(errno),
          errno == ENOENT ? "install it, or check [plugins] path and enabled" : "run matrixosctl as root");
      return false;
    }
    if (!S_ISREG(file_.info.st_mode)) {
      add("file", path.string() + " is no regular file", "install the plugin's file there");
      return false;
    }
    checkOwnership("file", file_.info, file_.path, "file");
    return true;
  }

  void checkSymbols(const plugin::ElfFile &elf) {
    std::vector<std::string> extra, ours;
    for (const std::string &name : elf.exports) {
      if (name != MOS_ENTRY_NAME) extra.push_back(name);
    }
    for (const std::string &name : elf.undefinedSymbols) {
      if (name.rfind("mos_", 0) == 0 || name.find("8matrixos") != std::string::npos) ours.push_back(name);
    }
    if (extra.empty())
      add("exports", MOS_ENTRY_NAME " alone");
    else
      add("exports", "besides " MOS_ENTRY_NAME ", " + joined(extra),
          "other libraries could bind to them: link with a version script, as matrixos_add_plugin() does");
    if (ours.empty())
      add("imports", "nothing of the daemon's own");
    else
      add("imports", "wants " + joined(ours), "the daemon exports nothing: compile the SDK's headers into the plugin");
    if (elf.uniqueSymbols.empty())
      add("unique", "no variables that all its generations would share");
    else
      add("unique", "all its generations share " + joined(elf.uniqueSymbols, 3) + " (GNU_UNIQUE)",
          "compile with -fno-gnu-unique, as matrixos_add_plugin() does");
  }

  /// Whether all are there.
  bool checkLibraries(const std::vector<std::string> &missing, const plugin::ElfFile &elf) {
    if (missing.empty())
      add("libraries", elf.needed.empty() ? "needs none" : "found all of " + joined(elf.needed, 8));
    else
      add("libraries", joined(missing),
          elf.runPath.find("$ORIGIN") == std::string::npos
              ? "install the package that has it"
              : "$ORIGIN in its RUNPATH does not work, since the daemon runs a copy: make it an absolute path");
    return missing.empty();
  }

  void checkDescriptor(ProbedPlugin probed, bool linked) {
    if (!probed.manifest) {
      return add("descriptor", probed.problem,
                 linked ? "do not install it; ask its vendor for one that is whole and built for this ABI"
                        : "put the libraries right first");
    }
    manifest_ = std::move(probed.manifest);
    add("descriptor", manifest_->name + " " + manifest_->version + ", which calls itself " + manifest_->id +
                          " as its file is called");
    add("abi", "major " + std::to_string(manifest_->abiMajor) + ", host minor " +
                   std::to_string(manifest_->minHostMinor) + " or later; this host is " +
                   std::to_string(MOS_ABI_MAJOR) + "." + std::to_string(MOS_HOST_MINOR));
  }

  const Settings &settings_;
  Diagnosis diagnosis_;
  plugin::OpenPluginFile file_;
  std::optional<plugin::Manifest> manifest_;
};

/// The patients, and the other plugins that are enabled, as far as they can be read.
class Ward {
public:
  Ward(Settings settings, const std::vector<std::string> &targets) : settings_(std::move(settings)) {
    for (const std::string &target : targets.empty() ? settings_.enabled : targets)
      patients_.push_back(std::make_unique<Patient>(settings_, target));
    for (const std::string &id : settings_.enabled) {
      const auto same = [&](const auto &patient) { return patient->id() == id; };
      if (std::none_of(patients_.begin(), patients_.end(), same))
        others_.push_back(std::make_unique<Patient>(settings_, id));
    }
  }

  void examineFiles(bool load) {
    for (const auto &patient : patients_)
      patient->examineFile(files_, load);
    for (const auto &other : others_) {
      if (load) other->examineFile(files_, load);
    }
  }

  void checkProvides() {
    for (const auto &patient : patients_) {
      if (patient->manifest()) checkProvides(*patient);
    }
  }

  void checkCommands() {
    for (const auto &patient : patients_) {
      if (patient->manifest()) checkCommands(*patient);
    }
  }

  void checkNeeds() {
    for (const auto &patient : patients_) {
      if (patient->manifest()) checkNeeds(*patient);
    }
  }

  void checkConfig() {
    for (const auto &patient : patients_) {
      if (patient->manifest()) checkConfig(*patient);
    }
  }

  void checkCrashes() {
    const plugin::Quarantine quarantine(settings_.dataDir / "quarantine");
    for (const auto &patient : patients_) {
      const auto record = quarantine.find(patient->id());
      if (!record)
        patient->add("crashes", "none of the daemon is held against it");
      else
        patient->add("crashes",
                     "it ended the daemon " +
                         (record->crashes == 1 ? "once" : std::to_string(record->crashes) + " times in a row") +
                         ", last at " + record->at + ": " + record->reason +
                         (record->quarantined ? "; it is in quarantine" : ""),
                     record->quarantined ? "install another version, or matrixosctl plugins enable " + patient->id()
                                         : "tell its vendor; after two it is not loaded any more");
    }
  }

  /// What the daemon says, if one answers.
  void checkDaemon(const Invocation &invocation) {
    std::string silence;
    std::vector<json::Object::Ptr> plugins;
    try {
      const auto list = DaemonClient(invocation).get("/plugins").extract<json::Array::Ptr>();
      for (unsigned i = 0; i < list->size(); ++i)
        plugins.push_back(list->getObject(i));
    } catch (const std::exception &e) {
      silence = e.what();
    }
    for (const auto &patient : patients_) {
      if (!silence.empty())
        patient->addUnknown("daemon", silence);
      else
        report(*patient, plugins);
    }
  }

  std::vector<Diagnosis> diagnoses() const {
    std::vector<Diagnosis> list;
    for (const auto &patient : patients_)
      list.push_back(patient->diagnosis());
    return list;
  }

private:
  /// Those that would run beside the patient: a file under examination stands for the installed one of its id.
  std::vector<Patient *> besides(const Patient &patient) const {
    std::vector<Patient *> list;
    for (const auto *all : {&patients_, &others_}) {
      for (const auto &other : *all) {
        if (other->id() != patient.id()) list.push_back(other.get());
      }
    }
    return list;
  }

  void checkProvides(Patient &patient) const {
    const auto &provides = patient.manifest()->provides;
    std::vector<std::string> clashes;
    for (auto at = provides.begin(); at != provides.end(); ++at) {
      const std::string name = at->service + (at->instance.empty() ? "" : " " + at->instance);
      const auto same = [&](const auto &p) { return p.service == at->service && p.instance == at->instance; };
      if (std::any_of(provides.begin(), at, same)) clashes.push_back(name + " twice");
      for (const Patient *other : besides(patient)) {
        if (!other->manifest()) continue;
        const auto &others = other->manifest()->provides;
        if (std::any_of(others.begin(), others.end(), same)) clashes.push_back(name + ", as " + other->id() + " does");
      }
    }
    if (clashes.empty())
      patient.add("provides", provides.empty() ? "nothing" : "nothing that another enabled plugin provides");
    else
      patient.add("provides", joined(clashes), "enable only one of them ([plugins] enabled)");
  }

  /// As matrixosctl and the daemon look at it: those before it in [plugins] enabled have their commands first.
  void checkCommands(Patient &patient) const {
    common::CommandOwners owners;
    for (const std::string &id : settings_.enabled) {
      if (id == patient.id()) break;
      for (const Patient *other : besides(patient)) {
        if (other->id() != id || !other->manifest()) continue;
        for (const auto &command : other->manifest()->commands)
          owners.claim(id, command);
      }
    }
    std::vector<std::string> unreadable;
    const auto conflicts = plugin::StartOrder::of(manifestsBeside(patient, unreadable)).commandFailures;
    if (const auto found = conflicts.find(patient.id()); found != conflicts.end()) {
      return patient.add("commands", found->second,
                         "ask its vendor: commands call paths of their plugin, or of plugins that it needs");
    }
    std::vector<std::string> refused;
    for (const auto &command : patient.manifest()->commands) {
      const std::string why = owners.claim(patient.id(), command);
      if (!why.empty()) refused.push_back("\"" + command.words + "\" is not there: " + why);
    }
    const std::size_t count = patient.manifest()->commands.size();
    if (refused.empty())
      patient.add("commands", count == 0 ? "none" : std::to_string(count) + ", which nobody else has");
    else
      patient.add("commands", joined(refused), "ask its vendor for other words; the plugin runs without");
  }

  /// Its own, and those of the others; `unreadable`: who has none.
  std::vector<const plugin::Manifest *> manifestsBeside(Patient &patient, std::vector<std::string> &unreadable) const {
    std::vector<const plugin::Manifest *> all{&*patient.manifest()};
    for (const Patient *other : besides(patient)) {
      if (other->manifest())
        all.push_back(&*other->manifest());
      else
        unreadable.push_back(other->id());
    }
    return all;
  }

  void checkNeeds(Patient &patient) const {
    std::vector<std::string> unreadable;
    const auto all = manifestsBeside(patient, unreadable);
    const plugin::StartOrder order = plugin::StartOrder::of(all);
    const auto failure = order.failures.find(patient.id());
    if (failure == order.failures.end() || order.commandFailures.count(patient.id()) != 0)
      patient.add("needs", patient.manifest()->needs.empty() ? "nothing" : "enabled plugins provide all of it");
    else if (unreadable.empty())
      patient.add("needs", failure->second, "enable a plugin that provides it ([plugins] enabled)");
    else
      patient.addUnknown("needs", failure->second + "; but these cannot be read: " + joined(unreadable));
  }

  void checkConfig(Patient &patient) const {
    config::Schema schema = settings_.core;
    const auto &keys = patient.manifest()->configKeys;
    const std::string reserved = config::isolationKey().key;
    if (std::any_of(keys.begin(), keys.end(), [&](const auto &key) { return key.key == reserved; })) {
      return patient.add("config", "it declares the key \"" + reserved + "\", which is the daemon's in every section",
                         "ask its vendor to call it something else");
    }
    try {
      schema.addPlugin(patient.id(), patient.manifest()->description, patient.manifest()->allConfigKeys());
    } catch (const std::exception &e) {
      return patient.add("config", e.what(), "ask its vendor: the plugin declares its keys wrongly");
    }
    for (const Patient *other : besides(patient)) {
      if (schema.find(other->id()) == nullptr) schema.addUncheckedPlugin(other->id(), "it is not looked at");
    }
    // As it would be with the plugin enabled: only then what it requires counts.
    std::vector<std::string> enabled = settings_.enabled;
    if (std::find(enabled.begin(), enabled.end(), patient.id()) == enabled.end()) enabled.push_back(patient.id());
    config::RawConfig raw = settings_.raw;
    raw.values.push_back({"plugins",
                          "enabled",
                          joined(enabled, enabled.size()),
                          {config::Origin::Source::CommandLine, "matrixosctl", 0, 0}});
    std::vector<std::string> own;
    try {
      config::validate(raw, schema);
    } catch (const config::ConfigError &e) {
      for (const std::string &problem : e.problems()) {
        if (problem.find("[" + patient.id() + "]") != std::string::npos) own.push_back(problem);
      }
    }
    if (own.empty())
      patient.add("config", "the section [" + patient.id() + "] is valid");
    else
      patient.add("config", joined(own), "correct it; matrixosctl config check looks at the whole configuration");
  }

  static void report(Patient &patient, const std::vector<json::Object::Ptr> &plugins) {
    const auto found = std::find_if(plugins.begin(), plugins.end(),
                                    [&](const auto &p) { return json::getString(*p, "id") == patient.id(); });
    if (found == plugins.end()) return patient.addUnknown("daemon", "the running daemon does not know it");
    const json::Object &plugin = **found;
    std::error_code error;
    if (!fs::equivalent(json::getString(plugin, "path"), patient.path(), error)) {
      return patient.addUnknown("daemon", "the running daemon has another file, " + json::getString(plugin, "path"));
    }
    const std::string state = json::getString(plugin, "state");
    const std::string reason = plugin.optValue<std::string>("reason", {});
    if (state != "running" && state != "disabled") {
      return patient.add("daemon", state + (reason.empty() ? "" : ": " + reason),
                         "put that right, then matrixosctl plugins reload " + patient.id());
    }
    const auto file = plugin.getObject("file");
    if (file && file->optValue<bool>("changedOnDisk", false)) {
      return patient.add("daemon", state + ", but the file has changed since it was loaded",
                         "matrixosctl plugins " + std::string(state == "running" ? "reload " : "enable ") +
                             patient.id());
    }
    patient.add("daemon", state + ", generation " + std::to_string(plugin.optValue<int>("generation", 0)));
  }

  const Settings settings_;
  plugin::PluginFiles files_;
  std::vector<std::unique_ptr<Patient>> patients_, others_;
};

} // namespace

bool Diagnosis::healthy() const {
  return std::none_of(findings.begin(), findings.end(), [](const Finding &f) { return f.verdict == Verdict::Bad; });
}

std::vector<Diagnosis> diagnosePlugins(const Invocation &invocation, const std::vector<std::string> &targets) {
  Settings settings = Settings::read(invocation.get("config"));
  if (!settings.unreadable.empty()) throw Failure(EX_CONFIG, settings.unreadable);
  Ward ward(std::move(settings), targets);
  ward.examineFiles(invocation.has("load"));
  ward.checkProvides();
  ward.checkCommands();
  ward.checkNeeds();
  ward.checkConfig();
  ward.checkCrashes();
  ward.checkDaemon(invocation);
  return ward.diagnoses();
}

} // namespace matrixos::ctl
