#include "config/Loader.h"

#include "config/IniReader.h"
#include "config/Text.h"
#include "config/TextFile.h"
#include "config/XmlReader.h"

#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <system_error>

namespace matrixos::config {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFileBytes = 1024UL * 1024;
constexpr std::string_view kVariablePrefix = "MATRIXOS_";
constexpr std::string_view kCredentials = "CREDENTIALS_DIRECTORY=";
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool looksLikeXml(const fs::path &file, std::string_view text) {
  if (file.extension() == ".xml") return true;
  return file.extension() != ".ini" && trim(text).starts_with('<');
}

/// `shown` is the name for messages, relative to the working directory if the operator wrote it so.
void readFile(const fs::path &shown, RawConfig &into) {
  TextFile file;
  try {
    file = TextFile::read(into.workingDirectory / shown, kMaxFileBytes);
  } catch (const Error &e) {
    into.addProblem({Origin::Source::File, shown.string(), 0, into.files.size() + 1}, e.what());
    return;
  }
  if ((file.info.st_mode & S_IWOTH) != 0) {
    into.warnings.push_back(shown.string() + " can be changed by every user of this machine; chmod o-w it");
  }
  std::string_view text = file.text;
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  if (looksLikeXml(shown, text))
    readXml(text, shown.string(), into);
  else
    readIni(text, shown.string(), into);
}

void readDropIns(const fs::path &folder, RawConfig &into) {
  std::error_code error;
  std::vector<std::string> names;
  fs::directory_iterator entry(into.workingDirectory / folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const fs::path name = entry->path().filename();
    // Editors and package managers leave .x.ini.swp and x.ini.dpkg-old behind.
    if (name.string().starts_with('.')) continue;
    if (name.extension() == ".ini" || name.extension() == ".xml") names.push_back(name.string());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    into.addProblem({Origin::Source::File, folder.string(), 0, into.files.size() + 1},
                    "cannot be listed: " + error.message());
  }
  std::sort(names.begin(), names.end());
  for (const auto &name : names)
    readFile(folder / name, into);
}

void readVariable(std::string_view assignment, RawConfig &into) {
  if (assignment.starts_with(kCredentials))
    into.credentials = Credentials(fs::path(assignment.substr(kCredentials.size())));
  if (!assignment.starts_with(kVariablePrefix)) return;
  const std::size_t equals = assignment.find('=');
  if (equals == std::string_view::npos) return;
  const std::string name(assignment.substr(0, equals));
  const std::string_view value = unquote(assignment.substr(equals + 1));
  if (const auto bad = findBadCharacter(value)) {
    into.addProblem({Origin::Source::Environment, name, 0, 0}, "the value holds " + *bad + "; write plain UTF-8 text");
    return;
  }
  into.environment[name] = value;
}

void readAssignment(const std::string &assignment, RawConfig &into) {
  const Origin origin{Origin::Source::CommandLine, "--set", 0, 0};
  const std::string_view text = assignment;
  const std::size_t equals = text.find('=');
  const std::size_t dot = text.find('.');
  // The text after "=" may be a secret: it is not repeated.
  if (equals == std::string_view::npos || dot == std::string_view::npos || dot > equals) {
    into.addProblem(origin, quote(text.substr(0, equals)) + " is no assignment; write --set section.key=value");
    return;
  }
  const std::string_view section = trim(text.substr(0, dot));
  const std::string_view key = trim(text.substr(dot + 1, equals - dot - 1));
  const std::string_view value = unquote(text.substr(equals + 1));
  if (section.empty() || key.empty()) {
    into.addProblem(origin, quote(text.substr(0, equals)) + " is no assignment; write --set section.key=value");
  } else if (const auto bad = findBadCharacter(value)) {
    into.addProblem(origin,
                    "the value of " + quote(text.substr(0, equals)) + " holds " + *bad + "; write plain UTF-8 text");
  } else {
    into.values.push_back({std::string(section), std::string(key), std::string(value), origin});
  }
}

} // namespace

RawConfig load(const LoadOptions &options) {
  RawConfig raw;
  raw.file = options.file;
  raw.onlyLooks = options.onlyLooks;
  raw.workingDirectory = options.workingDirectory.empty() ? fs::current_path() : fs::absolute(options.workingDirectory);
  if (!options.file.empty()) {
    readFile(options.file, raw);
    readDropIns(options.file.parent_path() / "conf.d", raw);
  }
  for (const auto &assignment : options.environment)
    readVariable(assignment, raw);
  for (const auto &assignment : options.sets)
    readAssignment(assignment, raw);
  return raw;
}

std::vector<std::string> processEnvironment() {
  std::vector<std::string> result;
  for (char **entry = environ; entry != nullptr && *entry != nullptr; ++entry)
    result.emplace_back(*entry);
  return result;
}

} // namespace matrixos::config
