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

constexpr std::string_view kPrefix = "runtime-";
constexpr std::string_view kTemplateId = "runtime-template";
constexpr std::size_t kLongest = 64;

bool isWord(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

/// "runtime-fire-fly" → "FireFly", as the template is "Template" in names of types and in titles.
std::string titleOf(const std::string &id) {
  std::string title;
  bool upper = true;
  for (const char c : id.substr(kPrefix.size())) {
    if (c == '-') {
      upper = true;
      continue;
    }
    title += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    upper = false;
  }
  return title;
}

fs::path installedTemplate(const fs::path &executable) {
  return executable.parent_path().parent_path() / "share/matrixos/sdk/template";
}

void replaceAll(std::string &text, std::string_view from, const std::string &to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

/// The template's names in `text` become those of `id`. "Template" counts where a word begins with it; what C++ calls a
/// template is written small.
std::string renamed(std::string text, const std::string &id) {
  replaceAll(text, kTemplateId, id);
  const std::string title = titleOf(id);
  constexpr std::string_view kTitle = "Template";
  for (std::size_t at = text.find(kTitle); at != std::string::npos; at = text.find(kTitle, at + 1)) {
    if (at == 0 || !isWord(text[at - 1])) text.replace(at, kTitle.size(), title);
  }
  return text;
}

std::string readAll(const fs::path &file) {
  std::ifstream in(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in) throw Failure(EX_IOERR, file.string() + " cannot be read");
  return text;
}

void copyRenamed(const fs::path &from, const std::string &id, const fs::path &folder) {
  for (auto at = fs::recursive_directory_iterator(from); at != fs::recursive_directory_iterator(); ++at) {
    const fs::directory_entry &entry = *at;
    if (entry.is_directory() && entry.path().filename() == "build") { // left by somebody who tried it where it lies
      at.disable_recursion_pending();
      continue;
    }
    const fs::path to = folder / renamed(fs::relative(entry.path(), from).string(), id);
    if (entry.is_directory()) {
      fs::create_directories(to);
      continue;
    }
    if (!entry.is_regular_file()) continue;
    std::ofstream out(to, std::ios::binary);
    out << renamed(readAll(entry.path()), id);
    out.close();
    if (!out) throw Failure(EX_IOERR, to.string() + " cannot be written");
    const bool program = (entry.status().permissions() & fs::perms::owner_exec) != fs::perms::none;
    if (program) fs::permissions(to, fs::perms::owner_exec | fs::perms::group_exec, fs::perm_options::add);
  }
}

void printNextSteps(const std::string &id, const fs::path &folder, const fs::path &from, const fs::path &executable) {
  std::cout << "Made " << id << " in " << folder.string() << ":\n";
  std::vector<std::string> files;
  for (const auto &entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(fs::relative(entry.path(), folder).string());
  }
  std::sort(files.begin(), files.end());
  for (const std::string &file : files)
    std::cout << "  " << file << '\n';

  std::cout << "\nNext:\n";
  const fs::path prefix = executable.parent_path().parent_path();
  std::string where = prefix == "/usr" ? "" : " -DCMAKE_PREFIX_PATH=" + prefix.string(); // /usr is looked at anyway
  if (from != installedTemplate(executable)) {
    std::cout << "  cmake --install " << prefix.string() << " --component sdk --prefix ~/matrixos    # the SDK\n";
    where = " -DCMAKE_PREFIX_PATH=$HOME/matrixos";
  }
  std::cout << "  cd " << folder.string() << "\n  cmake -B build" << where
            << "\n  cmake --build build                             # makes build/plugins/" << id << ".so"
            << "\n  ctest --test-dir build --output-on-failure      # what every runtime has to do"
            << "\n  matrixosctl plugins doctor --load build/plugins/" << id << ".so"
            << "\n  sudo install -m 644 build/plugins/" << id << ".so /usr/lib/matrixos/plugins/"
            << "\nThen, in the daemon's configuration, add " << id << " to [plugins] enabled and set\n"
            << "[orchestrator] runtime = " << id << ". After each change of yours: install it again, and\n"
            << "matrixosctl plugins reload " << id << ".\n";
}

} // namespace

std::string runtimeId(const std::string &name) {
  const std::string id = name.rfind(kPrefix, 0) == 0 ? name : std::string(kPrefix) + name;
  const std::string own = id.substr(kPrefix.size());
  const bool clean = std::all_of(own.begin(), own.end(),
                                 [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
  const bool begins = !own.empty() && own.front() >= 'a' && own.front() <= 'z';
  if (!begins || !clean || own.back() == '-' || own.find("--") != std::string::npos) {
    throw UsageError("\"" + name +
                     "\" cannot name a runtime: a small letter first, then small letters, digits and single hyphens, "
                     "as in \"firefly\" for runtime-firefly");
  }
  if (id.size() > kLongest) throw UsageError("\"" + name + "\" is too long: " + id + " has more than 64 characters");
  return id;
}

fs::path findTemplate(const fs::path &executable) {
  const fs::path bin = executable.parent_path();
  const fs::path installed = installedTemplate(executable);
  const fs::path tree = bin.parent_path().parent_path().parent_path() / "sdk/template"; // <tree>/build/PRESET/bin
  for (const fs::path &candidate : {installed, tree}) {
    if (fs::is_regular_file(candidate / "CMakeLists.txt")) return candidate;
  }
  throw Failure(EX_UNAVAILABLE, "there is no " + installed.string() +
                                    "; install the SDK: apt install matrixos-dev, or cmake --install BUILD --component "
                                    "sdk --prefix " +
                                    bin.parent_path().string());
}

void copyTemplate(const fs::path &from, const std::string &id, const fs::path &folder) {
  if (fs::exists(fs::symlink_status(folder))) {
    throw Failure(EX_CANTCREAT, folder.string() + " exists; choose another folder with --dir, or remove it");
  }
  const fs::path parent = fs::absolute(folder).parent_path();
  const fs::path half = parent / ("." + id + ".new");
  std::error_code ignored;
  fs::remove_all(half, ignored);
  try {
    fs::create_directories(half);
    copyRenamed(from, id, half);
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
  const std::string id = runtimeId(invocation.arguments[0]);
  // A folder's name may end in "/", which would be a name of its own to the file system library.
  fs::path folder = fs::path(invocation.get("dir", id)).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  const fs::path executable = fs::read_symlink("/proc/self/exe");
  const fs::path from = findTemplate(executable);
  copyTemplate(from, id, folder);
  if (!printedJson(invocation, json::dump(json::object({{"id", id}, {"folder", folder.string()}}))))
    printNextSteps(id, folder, from, executable);
  return 0;
}

} // namespace matrixos::ctl
