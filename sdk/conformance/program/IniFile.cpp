#include "IniFile.h"

#include <fstream>
#include <stdexcept>

namespace matrixos::conformance {

std::string trimmed(const std::string &text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

IniFile IniFile::read(const std::string &path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  IniFile ini;
  std::string line;
  std::string section;
  for (int number = 1; std::getline(file, line); ++number) {
    line = trimmed(line);
    if (line.empty() || line.front() == ';') continue;
    if (line.front() == '[' && line.back() == ']') {
      section = trimmed(line.substr(1, line.size() - 2));
      continue;
    }
    const std::size_t equals = line.find('=');
    if (equals == std::string::npos || section.empty()) {
      throw std::runtime_error(path + ":" + std::to_string(number) + ": neither [section], key=value nor a ; comment");
    }
    ini.sections_[section][trimmed(line.substr(0, equals))] = trimmed(line.substr(equals + 1));
  }
  return ini;
}

void IniFile::set(const std::string &assignment) {
  const std::size_t dot = assignment.find('.');
  const std::size_t equals = assignment.find('=');
  if (dot == std::string::npos || equals == std::string::npos || dot > equals)
    throw std::runtime_error("--set takes section.key=value, not \"" + assignment + "\"");
  sections_[trimmed(assignment.substr(0, dot))][trimmed(assignment.substr(dot + 1, equals - dot - 1))] =
      trimmed(assignment.substr(equals + 1));
}

const IniFile::Section &IniFile::section(const std::string &name) const {
  static const Section empty;
  const auto found = sections_.find(name);
  return found == sections_.end() ? empty : found->second;
}

} // namespace matrixos::conformance
