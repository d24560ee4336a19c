#include "ctl/NewPlugin.h"

#include "ctl/DaemonClient.h"
#include "ctl/Output.h"

#include <sysexits.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>

namespace matrixos::ctl {

namespace fs = std::filesystem;

namespace {

/// As a daemon takes them (plugin::isPluginId).
constexpr std::size_t kLongest = 48;

bool isWord(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

/// "runtime-fire-fly" → "FireFly" without its prefix, as the template is "Template" in names of types and in titles.
std::string titleOf(const std::string &id) {
  std::string title;
  bool upper = true;
  for (const char c : id) {
    if (c == '-') {
      upper = true;
      continue;
    }
    title += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    upper = false;
  }
  return title;
}

std::string underscored(std::string id) {
  std::replace(id.begin(), id.end(), '-', '_');
  return id;
}

std::string raised(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

fs::path installedTemplates(const fs::path &executable) {
  return executable.parent_path().parent_path() / "share/matrixos/sdk/templates";
}

void replaceAll(std::string &text, std::string_view from, const std::string &to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

/// Puts the names of one plugin in place of a template's.
class Renaming {
public:
  Renaming(const PluginKind &kind, const std::string &id)
      : from_(std::string(kind.name) + "-template"), id_(id), title_(titleOf(id.substr(kind.prefix.size()))) {}

  /// "Template" counts where a word begins with it; what C++ calls a template is written small.
  std::string operator()(std::string text) const {
    replaceAll(text, from_, id_);
    replaceAll(text, underscored(from_), underscored(id_));
    replaceAll(text, raised(underscored(from_)), raised(underscored(id_)));
    constexpr std::string_view kTitle = "Template";
    for (std::size_t at = text.find(kTitle); at != std::string::npos; at = text.find(kTitle, at + 1)) {
      if (at == 0 || !isWord(text[at - 1])) text.replace(at, kTitle.size(), title_);
    }
    return text;
  }

private:
  const std::string from_, id_, title_;
};

std::string readAll(const fs::path &file) {
  std::ifstream in(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in) throw Failure(EX_IOERR, file.string() + " cannot be read");
  return text;
}

void copyRenamed(const fs::path &from, const Renaming &renamed, const fs::path &folder) {
  for (auto at = fs::recursive_directory_iterator(from); at != fs::recursive_directory_iterator(); ++at) {
    const fs::directory_entry &entry = *at;
    if (entry.is_directory() && entry.path().filename() == "build") { // left by somebody who tried it where it lies
      at.disable_recursion_pending();
      continue;
    }
    const fs::path to = folder / renamed(fs::relative(entry.path(), from).string());
    if (entry.is_directory()) {
      fs::create_directories(to);
      continue;
    }
    if (!entry.is_regular_file()) continue;
    std::ofstream out(to, std::ios::binary);
    out << renamed(readAll(entry.path()));
    out.close();
    if (!out) throw Failure(EX_IOERR, to.string() + " cannot be written");
    const bool program = (entry.status().permissions() & fs::perms::owner_exec) != fs::perms::none;
    if (program) fs::permissions(to, fs::perms::owner_exec | fs::perms::group_exec, fs::perm_options::add);
  }
}

/// Nothing is there, or a folder with nothing in it.
bool isFree(const fs::path &folder) {
  const fs::file_status status = fs::symlink_status(folder);
  return !fs::exists(status) || (fs::is_directory(status) && fs::is_empty(folder));
}

void printFiles(const std::string &id, const fs::path &folder) {
  std::cout << "Made " << id << " in " << folder.string() << ":\n";
  std::vector<std::string> files;
  for (const auto &entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(fs::relative(entry.path(), folder).string());
  }
  std::sort(files.begin(), files.end());
  for (const std::string &file : files)
    std::cout << "  " << file << '\n';
}

void printNextSteps(const PluginKind &kind, const std::string &id, const fs::path &folder, const fs::path &templates,
                    const fs::path &executable) {
  std::cout << "\nNext:\n";
  const fs::path prefix = executable.parent_path().parent_path();
  std::string where = prefix == "/usr" ? "" : " -DCMAKE_PREFIX_PATH=" + prefix.string(); // /usr is looked at anyway
  if (templates != installedTemplates(executable)) {
    std::cout << "  cmake --install " << prefix.string() << " --component sdk --prefix ~/matrixos    # the SDK\n";
    where = " -DCMAKE_PREFIX_PATH=$HOME/matrixos";
  }
  std::string config(kind.config);
  replaceAll(config, "ID", id);
  std::cout << "  cd " << folder.string() << "\n  cmake -B build" << where
            << "\n  cmake --build build                             # makes build/plugins/" << id << ".so"
            << "\n  ctest --test-dir build --output-on-failure      # " << kind.tests
            << "\n  matrixosctl plugins doctor --load build/plugins/" << id << ".so"
            << "\n  sudo install -m 644 build/plugins/" << id << ".so /usr/lib/matrixos/plugins/"
            << "\nThen, in the daemon's configuration, add " << id << " to [plugins] enabled"
            << (config.empty() ? "" : " and set\n" + config) << ".\nAfter each change of yours: install it again, and "
            << "matrixosctl plugins reload " << id << ".\n";
}

} // namespace

const std::vector<PluginKind> &pluginKinds() {
  static const std::vector<PluginKind> kinds{
      {"runtime", "runtime-", "what every runtime has to do", "[orchestrator] runtime = ID"},
      {"service", "", "its own test, test.cpp", ""},
      {"policy", "", "its own test, test.cpp", "[proxy] policies = ID, or leave that empty, which means all"},
      {"routes", "", "its own test, test.cpp", ""}};
  return kinds;
}

std::string pluginKindNames() {
  std::string names;
  for (const PluginKind &kind : pluginKinds())
    names += (names.empty() ? "" : "|") + std::string(kind.name);
  return names;
}

const PluginKind &pluginKind(const std::string &name) {
  for (const PluginKind &kind : pluginKinds())
    if (kind.name == name) return kind;
  throw UsageError("there is no kind \"" + name + "\" of plugins; --kind takes " + pluginKindNames());
}

std::string newPluginId(const PluginKind &kind, const std::string &name) {
  std::string id = name.rfind(kind.prefix, 0) == 0 ? name : std::string(kind.prefix) + name;
  const std::string own = id.substr(kind.prefix.size());
  const bool clean = std::all_of(own.begin(), own.end(),
                                 [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
  const bool begins = !own.empty() && own.front() >= 'a' && own.front() <= 'z';
  if (!begins || !clean || own.back() == '-' || own.find("--") != std::string::npos) {
    throw UsageError("\"" + name + "\" cannot name a " + (kind.prefix.empty() ? "plugin" : std::string(kind.name)) +
                     ": a small letter first, then small letters, digits and single hyphens, as in \"firefly\"" +
                     (kind.prefix.empty() ? "" : " for " + std::string(kind.prefix) + "firefly"));
  }
  if (id.size() > kLongest)
    throw UsageError("\"" + name + "\" is too long: " + id + " has more than " + std::to_string(kLongest) +
                     " characters");
  return id;
}

fs::path findTemplates(const fs::path &executable) {
  const fs::path bin = executable.parent_path();
  const fs::path installed = installedTemplates(executable);
  const fs::path tree = bin.parent_path().parent_path().parent_path() / "sdk/templates"; // <tree>/build/PRESET/bin
  for (const fs::path &candidate : {installed, tree}) {
    if (fs::is_directory(candidate)) return candidate;
  }
  throw Failure(EX_UNAVAILABLE, "there is no " + installed.string() +
                                    "; install the SDK: apt install matrixos-dev, or cmake --install BUILD --component "
                                    "sdk --prefix " +
                                    bin.parent_path().string());
}

void copyTemplate(const fs::path &templates, const PluginKind &kind, const std::string &id, const fs::path &folder) {
  const fs::path parent = fs::absolute(folder).parent_path();
  const fs::path half = parent / ("." + id + ".new");
  std::error_code ignored;
  try {
    if (!isFree(folder))
      throw Failure(EX_CANTCREAT, folder.string() + " exists; choose another folder with --dir, or remove it");
    fs::remove_all(half, ignored);
    fs::create_directories(half);
    copyRenamed(templates / kind.name, Renaming(kind, id), half);
    fs::rename(half, fs::absolute(folder));
  } catch (const fs::filesystem_error &e) {
    fs::remove_all(half, ignored);
    throw Failure(EX_CANTCREAT, folder.string() + " cannot be made: " + e.code().message());
  } catch (...) {
    fs::remove_all(half, ignored);
    throw;
  }
}

int pluginsNew(const Invocation &invocation) {
  const PluginKind &kind = pluginKind(invocation.get("kind", "runtime"));
  const std::string id = newPluginId(kind, invocation.arguments[0]);
  // A folder's name may end in "/", which would be a name of its own to the file system library.
  fs::path folder = fs::path(invocation.get("dir", id)).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  const fs::path executable = fs::read_symlink("/proc/self/exe");
  const fs::path templates = findTemplates(executable);
  copyTemplate(templates, kind, id, folder);
  const auto made = json::object({{"id", id}, {"kind", std::string(kind.name)}, {"folder", folder.string()}});
  if (printedJson(invocation, json::dump(made))) return 0;
  printFiles(id, folder);
  printNextSteps(kind, id, folder, templates, executable);
  return 0;
}

} // namespace matrixos::ctl
